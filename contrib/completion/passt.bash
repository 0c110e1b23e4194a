# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of passt and pasta. Options are those that --help prints;
# only what follows them is said here.

# All names of all options: --help has those of one option in one line
_passt_options()
{
	LC_ALL=C "$1" --help 2>/dev/null |
		sed -nE 's/^  (-.,|   ) (--[^ ,]+)(, (--[^ ,]+))?.*/\2 \4/p'
}

_passt()
{
	local cur prev words cword split

	_init_completion -s || return

	case $prev in
	-s | --socket | --socket-path | -l | --log-file | -p | --pcap | -P | \
	--pid | --repair-path | --userns)
		_filedir
		return
		;;
	--runas)
		_usergroup -u
		return
		;;
	-i | --interface | --outbound-if4 | --outbound-if6)
		_available_interfaces -a
		return
		;;
	--netns)
		_filedir
		COMPREPLY+=($(compgen -W "$(command ls /run/netns 2>/dev/null)" \
			-- "$cur"))
		return
		;;
	-D | --dns | -S | --search | --map-host-loopback | --map-guest-addr)
		COMPREPLY=($(compgen -W none -- "$cur"))
		return
		;;
	-t | --tcp-ports | -u | --udp-ports | -T | --tcp-ns | -U | --udp-ns)
		COMPREPLY=($(compgen -W "none all auto" -- "$cur"))
		return
		;;
	-h | --help | --version)
		return
		;;
	esac

	$split && return

	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W '$(_passt_options "$1")' -- "$cur"))
		[[ ${COMPREPLY-} == *= ]] && compopt -o nospace
		return
	fi

	# The first word that is no option, nor belongs to one
	[[ ${1##*/} == pasta && $prev != --* ]] || return
	COMPREPLY=($(compgen -c -- "$cur"))
} &&
	complete -F _passt passt pasta
