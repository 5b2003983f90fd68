// The least that Node can do: parse the question, answer JSON.
import { createServer } from 'node:http';
import { started } from './started.mjs';

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { input } = JSON.parse(Buffer.concat(chunks).toString());
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ result: typeof input.tenant_id === 'string' }));
  });
});
server.listen(0, '127.0.0.1', () => started(server.address()));
