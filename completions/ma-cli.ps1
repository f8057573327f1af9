Register-ArgumentCompleter -Native -CommandName ma-cli -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    $index = if ($wordToComplete) { $words.Count - 1 } else { $words.Count }
    $names = '_MA_CLI_COMPLETE', 'COMP_WORDS', 'COMP_CWORD'
    $before = $names | ForEach-Object { [Environment]::GetEnvironmentVariable($_) }
    try {
        $env:_MA_CLI_COMPLETE = 'powershell_complete'
        $env:COMP_WORDS = $words -join "`n"
        $env:COMP_CWORD = "$index"
        $records = @(ma-cli 2>$null)
    } finally {
        for ($i = 0; $i -lt $names.Count; $i++) { [Environment]::SetEnvironmentVariable($names[$i], $before[$i]) }
    }
    foreach ($record in $records) {
        $kind, $rest = $record -split ',', 2
        if ($kind -ne 'plain') { continue }
        $value, $help = $rest -split "`t", 2
        $text = $value
        if ($value -notmatch '^[a-zA-Z0-9_.:/%+=-]+$') {
            # Data between single quotes: nothing in it is expanded.
            $text = "'" + [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($value) + "'"
        }
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
    }
}
