import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { atTestEnd } from '../helpers/test-end.ts';

/** `hang`: nothing comes. `break`: the stream ends in the middle of the answer. `tool`: one tool is called first. */
type Behaviour = 'answer' | 'hang' | 'break' | 'tool' | { status: number; retryAfterS?: number };

/** As the server counted it. `input` is without what came from the cache. */
export interface Counted {
  input: number;
  output: number;
  cache_read: number;
  reasoning: number;
}

export interface ModelCall {
  model: string;
  /** Undefined where it was refused or broken off. */
  usage?: Counted;
}

interface Body {
  model: string;
  messages: { role: string }[];
}

const ANSWER = ['Good ', 'day from '];

/** A model server that speaks OpenAI's chat completions as a stream, counts tokens, and does as it is told. */
export class ModelServer {
  /** In the order of their arrival. */
  readonly calls: ModelCall[] = [];
  readonly #behaviours = new Map<string, Behaviour>();
  #url = '';

  static async start(): Promise<ModelServer> {
    const models = new ModelServer();
    const server = createServer(async (request, response) => {
      const body = await text(request).catch(() => undefined);
      // Before a cron job OpenClaw looks whether the server is there.
      if (request.method !== 'POST') response.end('{"data":[]}');
      else if (body !== undefined) models.#answer(body, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    models.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    atTestEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return models;
  }

  get url(): string {
    return this.#url;
  }

  behave(model: string, behaviour: Behaviour): void {
    this.#behaviours.set(model, behaviour);
  }

  #answer(body: string, response: ServerResponse): void {
    const { messages, model } = JSON.parse(body) as Body;
    const behaviour = this.#behaviours.get(model) ?? 'answer';
    const call: ModelCall = { model };
    this.calls.push(call);
    if (behaviour === 'hang') return;
    if (typeof behaviour === 'object') {
      refuse(response, behaviour);
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const send = (part: object) =>
      response.write(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model, ...part })}\n\n`,
      );
    const delta = (content: object) => send({ choices: [{ index: 0, delta: content }] });
    const isFirst = messages.every(({ role }) => role !== 'tool');
    if (behaviour === 'tool' && isFirst) {
      const call = { name: 'session_status', arguments: '{}' };
      delta({ role: 'assistant', tool_calls: [{ index: 0, id: 't', type: 'function', function: call }] });
      send({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] });
    } else {
      for (const piece of [...ANSWER, model]) delta({ role: 'assistant', content: piece });
      // After a moment, or what was written is lost with the connection.
      if (behaviour === 'break') {
        setTimeout(() => response.destroy(), 100);
        return;
      }
      send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
    }
    call.usage = this.#count(body);
    send({ choices: [], usage: asOpenAi(call.usage) });
    response.end('data: [DONE]\n\n');
  }

  /** No two calls alike, so that none is taken for another in a ledger. */
  #count(body: string): Counted {
    const nth = this.calls.length;
    return { input: Math.ceil(body.length / 4), output: 17 + nth, cache_read: 100 + nth, reasoning: 5 };
  }
}

const asOpenAi = ({ cache_read, input, output, reasoning }: Counted) => ({
  prompt_tokens: input + cache_read,
  completion_tokens: output,
  total_tokens: input + cache_read + output,
  prompt_tokens_details: { cached_tokens: cache_read },
  completion_tokens_details: { reasoning_tokens: reasoning },
});

function refuse(response: ServerResponse, { retryAfterS, status }: { status: number; retryAfterS?: number }): void {
  const headers = { 'Content-Type': 'application/json', ...(retryAfterS && { 'Retry-After': String(retryAfterS) }) };
  const error = status === 429 ? { message: 'Rate limit reached', type: 'rate_limit_error' } : { message: 'failed' };
  response.writeHead(status, headers);
  response.end(JSON.stringify({ error }));
}
