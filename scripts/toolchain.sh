# Sourced by the other scripts: finds Rust, Python and a C compiler, installs what may be installed and says so.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# install PACKAGE...: Debian packages, if this is Debian and we are root; fails otherwise.
install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    say "installing with apt: $*"
    if [ -z "${package_lists_are_fresh:-}" ]; then
        apt-get update -qq </dev/null
        package_lists_are_fresh=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# need COMMAND PACKAGE: the command, installed if it is missing and can be.
need() {
    command -v "$1" >/dev/null || install "$2" || die "$1 is missing; install it (Debian: apt-get install $2)"
}

find_toolchain() {
    local home
    if ! command -v cargo >/dev/null; then
        for home in "${CARGO_HOME:-}" "$HOME/.cargo"; do
            if [ -n "$home" ] && [ -x "$home/bin/cargo" ]; then
                PATH="$home/bin:$PATH"
            fi
        done
    fi
    command -v cargo >/dev/null || die "Rust is missing; install it from https://rustup.rs"
    # With another HOME than the one Rust was installed in, rustup is found but not its toolchains: they are beside it.
    home=$(dirname "$(dirname "$(command -v cargo)")")
    if [ "$(basename "$home")" = .cargo ]; then
        if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "$HOME/.rustup" ] && [ -d "$(dirname "$home")/.rustup" ]; then
            RUSTUP_HOME="$(dirname "$home")/.rustup"
            export RUSTUP_HOME
        fi
        if [ -z "${CARGO_HOME:-}" ] && [ ! -d "$HOME/.cargo" ]; then
            export CARGO_HOME="$home"
        fi
    fi
    cargo --version >/dev/null || die "cargo does not run"
    need cc build-essential
    need python3 python3
}

# The folder cargo builds in, absolute.
target_directory() {
    cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# Nothing of the user's own settings reaches the program that is tried or tested.
forget_user_settings() {
    unset MA_CLI_PROFILE MA_CLI_CONFIG_FILE MA_CLI_FORMAT MA_CLI_PLATFORM_DIR
    unset MA_CLI_MODELARTS_ENDPOINT MA_CLI_OBS_ENDPOINT MA_CLI_IAM_ENDPOINT MA_CLI_SWR_ENDPOINT MA_CLI_DLI_ENDPOINT
    unset HUAWEICLOUD_SDK_AK HUAWEICLOUD_SDK_SK HUAWEICLOUD_SDK_SECURITY_TOKEN HUAWEICLOUD_SDK_PROJECT_ID
    unset REGION_NAME PROJECT_ID
}
