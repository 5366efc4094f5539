# SPDX-License-Identifier: MIT
# What ./examples/run and the talk share; to be sourced in the top folder. Builds, and has the verbs: say, run, serve, stop.
test/install build
build=${BUILD:-build}
if [ ! -f $build/build.ninja ]; then
	meson setup $build >/dev/null
fi
ninja -C $build --quiet
bin=$build/examples/cache

work=$(mktemp -d)
pids=()
end() {
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap end EXIT

say() { printf '\n-- %s\n' "$*"; }

# run EXIT-STATUS COMMAND...: shows a command and what it says, and checks how it exits.
run() {
	local want=$1 got=0
	shift
	printf '$ %s\n' "$*" | sed "s#$bin/##g; s#$work/##g"
	"$@" || got=$?
	if [ $got -ne $want ]; then
		echo "this should have exited with $want, not $got" >&2
		exit 1
	fi
	if [ $got -ne 0 ]; then echo "(exit status $got)"; fi
}

# serve NAME COMMAND...: starts a server, waits for its line, leaves its address in $address and its pid in $pid.
serve() {
	local name=$1
	shift
	: >"$work/$name.out" # there before it is looked at
	"$@" >>"$work/$name.out" &
	pid=$!
	pids+=($pid)
	for _ in $(seq 100); do
		address=$(sed -n 's/^listening on //p' "$work/$name.out" | head -n 1)
		if [ -n "$address" ]; then
			echo "$name: listening on $address (pid $pid)"
			return
		fi
		kill -0 $pid || exit 1
		sleep 0.05
	done
	echo "$name does not start" >&2
	exit 1
}

# stop NAME PID: asks a server to end, which must say yes.
stop() {
	local got=0
	kill -TERM "$2"
	wait "$2" || got=$?
	echo "$1: exit status $got"
	[ $got -eq 0 ]
}
