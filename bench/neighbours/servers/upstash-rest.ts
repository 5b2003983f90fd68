import { createInterface } from 'node:readline';
import { UpstashServer } from '../../../test/helpers/upstash-server.ts';

// Upstash's REST API in front of a Redis, as a process of its own. To each line of its input it says what it was asked so far.
const server = await new UpstashServer(process.env.REDIS_URL ?? '', process.env.TOKEN ?? '').start();
createInterface({ input: process.stdin }).on('line', () => {
  console.log(JSON.stringify({ requests: server.requests, commands: server.commands }));
});
console.log(`listening on ${server.url}`);
