_ma_cli_completion() {
    local record kind value guard=
    local -a records
    mapfile -t records < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _MA_CLI_LINE="${COMP_LINE:0:COMP_POINT}" _MA_CLI_BREAKS=$COMP_WORDBREAKS \
        _MA_CLI_COMPLETE=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    for record in "${records[@]}"; do
        kind=${record%%,*}
        value=${record#*,}
        case $kind in
            # Files are sorted, as they are without us.
            dir) compopt -o dirnames +o nosort 2>/dev/null ;;
            file) compopt -o default +o nosort 2>/dev/null ;;
            plain | named)
                # What stands for several is only shown; from a menu (% and *) it is taken as it is.
                if [[ ${#records[@]} -gt 1 && $COMP_TYPE != 37 && $COMP_TYPE != 42 ]]; then
                    [[ $kind == named ]] && guard=1
                    value=${value/$'\t'/  }
                fi
                # Quoted already.
                COMPREPLY+=("${value%%$'\t'*}")
                # A folder is not the end of the word.
                case $value in
                    */) compopt -o nospace 2>/dev/null ;;
                esac
                ;;
        esac
    done
    # With it they have no common beginning, which would take the place of the word.
    [[ -n $guard ]] && COMPREPLY+=(" ")
    return 0
}
complete -o nosort -F _ma_cli_completion ma-cli
