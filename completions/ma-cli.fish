function _ma_cli_completion
    set -l reply (env _MA_CLI_COMPLETE=fish_complete COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=(commandline -t | string collect) ma-cli 2>/dev/null)
    for line in $reply
        set -l parts (string split -m 1 "," -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                printf '%s\n' $parts[2]
        end
    end
end
complete --no-files --command ma-cli --arguments "(_ma_cli_completion)"
