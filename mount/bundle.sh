#!/bin/sh -e
# bundle.sh DIST: replaces the programs and threads of the service in DIST/bin by files that carry all of ours they need.
# Hundreds of small modules take longer to load than an engine that takes over may be away. Libraries stay where they are.

cd "$1"
npx esbuild bin/pogshim.js bin/engine.js engine/shard-thread.js attach/namespace-thread.js \
	--bundle --splitting --format=esm --platform=node --target=node20 --packages=external \
	--outdir=bin --entry-names='[name]' --chunk-names='part-[hash]' --allow-overwrite --log-level=warning
