// A local EVM node for tests, with two ERC-20 tokens on it.
//
//   node evm.mjs [port]      (no port, or 0: a free one)
//
// Prints one line of JSON once it is ready: {"url", "chainId", "accounts", "tokens": [{"address", "symbol", "decimals"}]}.
// Each transaction is mined at once, in a block of its own; `evm_mine` mines further ones. It ends with its standard input,
// so that it does not outlive the test that started it.
import ganache from "ganache";

import { testToken } from "./compile.mjs";

const MNEMONIC = "test test test test test test test test test test test junk";
const CHAIN_ID = 1337;
const TOKENS = [
  { name: "Test Dollar", symbol: "TUSD", decimals: 6 },
  { name: "Test Euro", symbol: "TEUR", decimals: 18 },
];
// Of each token, in whole ones.
const SUPPLY = 1_000_000_000n;

const server = ganache.server({
  wallet: { mnemonic: MNEMONIC, totalAccounts: 10 },
  chain: { chainId: CHAIN_ID, networkId: CHAIN_ID, hardfork: "shanghai" },
  logging: { quiet: true },
});
await server.listen(Number(process.argv[2] ?? 0), "127.0.0.1");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));

const accounts = await server.provider.request({ method: "eth_accounts", params: [] });
const { bytecode } = await testToken();
const tokens = [];
for (const token of TOKENS) tokens.push({ ...token, address: await deploy(token) });
const url = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ url, chainId: CHAIN_ID, accounts, tokens }));

async function deploy({ name, symbol, decimals }) {
  const data = `0x${bytecode}${constructorArguments(name, symbol, decimals)}`;
  const transaction = { from: accounts[0], data, gas: "0x2dc6c0" };
  const hash = await server.provider.request({ method: "eth_sendTransaction", params: [transaction] });
  const receipt = await server.provider.request({ method: "eth_getTransactionReceipt", params: [hash] });
  if (receipt?.status !== "0x1") throw new Error(`${symbol} could not be deployed`);
  return receipt.contractAddress;
}

// By the ABI: (string, string, uint8, uint256), strings of 31 bytes at the most.
function constructorArguments(name, symbol, decimals) {
  const supply = SUPPLY * 10n ** BigInt(decimals);
  return [word(0x80), word(0xc0), word(decimals), word(supply), text(name), text(symbol)].join("");
}

function word(number) {
  return BigInt(number).toString(16).padStart(64, "0");
}

function text(content) {
  return word(content.length) + Buffer.from(content).toString("hex").padEnd(64, "0");
}
