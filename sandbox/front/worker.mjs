// Runs a Worker: `node worker.mjs MODULE ADDRESS PORT` has its module answer requests, as Cloudflare's runtime would.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [module, address, port] = process.argv.slice(2);
const worker = (await import(pathToFileURL(module))).default;

createServer(async (asked, answer) => {
  try {
    const { method, headers } = asked;
    const response = await worker.fetch(new Request(`https://${headers.host}${asked.url}`, { method, headers }), {}, {});
    answer.writeHead(response.status, Object.fromEntries(response.headers));
    answer.end(Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    console.error(error);
    answer.writeHead(500).end("error code: 1101\n"); // a Worker that threw
  }
}).listen(Number(port), address);
