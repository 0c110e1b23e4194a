#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes seeds of what the frames tests do: each daemon of theirs captures, and
# the captures, and the guest's frames in them as fuzz_frames takes them, are
# merged into test/fuzz/seeds as far as they reach something new. Arguments: what
# of test/frames to run, for pytest. Wants `make KIND=fuzz CC=clang fuzz all`.
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -m 0777 "$dir/pcap"
mkdir "$dir/frames"
chmod 0755 "$dir"
cat >"$dir/passt" <<END
#!/bin/sh
exec "$PWD/passt" --pcap "$dir/pcap/\$\$" "\$@"
END
chmod 0755 "$dir/passt"
PASST=$dir/passt /usr/bin/python3 -m pytest -q -p no:cacheprovider -n 4 \
	"${@:-test/frames}" </dev/null || :
find "$dir/pcap" -type f -size +"${SEED_KIB:-24}"k -delete
# the targets are root of a namespace only: they read what all may
chmod -R a+rX "$dir"
/usr/bin/python3 - "$dir" <<'END'
import glob, os, struct, sys
for path in glob.glob(sys.argv[1] + "/pcap/*"):
    data = open(path, "rb").read()[24:]
    out, last = b"", None
    while len(data) >= 16:
        sec, usec, n, _ = struct.unpack("=4I", data[:16])
        frame, data = data[16:16 + n], data[16 + n:]
        if frame[6:12] == b"\x9a\x55" * 3:
            continue
        now = sec * 1000000 + usec
        wait = max(0, now - last).bit_length() if last else 0
        last = now
        out += struct.pack(">BH", min(wait, 31), n) + frame
    with open("%s/frames/%s" % (sys.argv[1], os.path.basename(path)),
              "wb") as f:
        f.write(out)
END
for t in pcap frames; do
	build/fuzz/test/fuzz/fuzz_$t -merge=1 test/fuzz/seeds/$t "$dir/$t" \
		2>&1 </dev/null | tail -n 1
done
