_ma_cli_completion() {
    local record kind value
    local -a records
    mapfile -t records < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _MA_CLI_LINE="${COMP_LINE:0:COMP_POINT}" _MA_CLI_BREAKS=$COMP_WORDBREAKS \
        _MA_CLI_COMPLETE=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    for record in "${records[@]}"; do
        kind=${record%%,*}
        value=${record#*,}
        case $kind in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain)
                # Quoted already.
                COMPREPLY+=("$value")
                # A folder is not the end of the word.
                case $value in
                    */) compopt -o nospace 2>/dev/null ;;
                esac
                ;;
        esac
    done
}
complete -o nosort -F _ma_cli_completion ma-cli
