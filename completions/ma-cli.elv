use str
set edit:completion:arg-completer[ma-cli] = {|@words|
    var last = $words[-1]
    var records = [(
        env _MA_CLI_COMPLETE=elvish_complete COMP_WORDS=(str:join "\n" $words) COMP_CWORD=(- (count $words) 1) ma-cli 2>/dev/null | from-lines
    )]
    for record $records {
        var kind rest = (str:split &max=2 , $record)
        if (==s $kind plain) {
            var value @help = (str:split &max=2 "\t" $rest)
            var display = $value
            if (> (count $help) 0) {
                set display = $value' ('$help[0]')'
            }
            # A folder is not the end of the word; Elvish quotes the rest.
            var suffix = ' '
            if (str:has-suffix $value /) {
                set suffix = ''
            }
            edit:complex-candidate $value &display=$display &code-suffix=$suffix
        } else {
            edit:complete-filename $last
        }
    }
}
