// Compiles TestToken.sol, once: what came out is kept in build/, under a name of what went in.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
// The newest that ganache 7 runs.
const EVM_VERSION = "shanghai";

const read = (path) => readFileSync(path, "utf8");

export async function testToken() {
  const source = read(join(here, "TestToken.sol"));
  const kept = join(here, "build", `TestToken-${nameOf(source)}.json`);
  if (existsSync(kept)) return JSON.parse(read(kept));
  const compiled = await compile(source);
  mkdirSync(dirname(kept), { recursive: true });
  const aside = `${kept}.${process.pid}`;
  writeFileSync(aside, JSON.stringify(compiled));
  renameSync(aside, kept);
  return compiled;
}

function nameOf(source) {
  const lock = read(join(here, "package-lock.json"));
  return createHash("sha256").update(source).update(lock).update(EVM_VERSION).digest("hex").slice(0, 16);
}

async function compile(source) {
  const { default: solc } = await import("solc");
  const input = {
    language: "Solidity",
    sources: { "TestToken.sol": { content: source } },
    settings: {
      evmVersion: EVM_VERSION,
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { "TestToken.sol": { TestToken: ["evm.bytecode.object"] } },
    },
  };
  const imported = (path) => ({ contents: read(require.resolve(path)) });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: imported }));
  const errors = (output.errors ?? []).filter((one) => one.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((one) => one.formattedMessage).join("\n"));
  return { bytecode: output.contracts["TestToken.sol"].TestToken.evm.bytecode.object };
}
