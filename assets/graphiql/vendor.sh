#!/bin/sh
# Re-creates this directory's vendored files from the npm packages named below and checks each
# against its SHA-256 in LICENSES.md. A new version goes into both files.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# take PACKAGE VERSION FILE-IN-PACKAGE NAME-HERE
take() {
  dir="$tmp/$(printf '%s' "$1-$2" | tr '/@' '__')"
  if [ ! -d "$dir" ]; then
    mkdir "$dir"
    npm pack --silent --pack-destination "$dir" "$1@$2" >/dev/null
    tar -xzf "$dir"/*.tgz -C "$dir"
  fi
  sum=$(sha256sum "$dir/package/$3" | cut -d ' ' -f 1)
  if ! grep -q "\`$4\`.*$sum" "$here/LICENSES.md"; then
    echo "$4: SHA-256 $sum is not the one in LICENSES.md; left as it was" >&2
    exit 1
  fi
  cp "$dir/package/$3" "$here/$4"
  chmod 644 "$here/$4"
  echo "$4  $1@$2"
}

take react 18.3.1 umd/react.production.min.js react.production.min.js
take react-dom 18.3.1 umd/react-dom.production.min.js react-dom.production.min.js
take graphiql 4.1.2 graphiql.min.js graphiql.min.js
take graphiql 4.1.2 graphiql.min.css graphiql.min.css
take @graphiql/plugin-explorer 4.0.6 dist/index.umd.js explorer.umd.js
take @graphiql/plugin-explorer 4.0.6 dist/style.css explorer.css
