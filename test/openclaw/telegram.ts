import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually } from '../helpers/eventually.ts';
import { atTestEnd } from '../helpers/test-end.ts';

interface Update {
  update_id: number;
  message: object;
}

/** Telegram's Bot API, as far as OpenClaw asks it: people write to the bot, and what it answers them is kept. */
export class Telegram {
  readonly #updates: Update[] = [];
  readonly #answers: { to: number; text: string }[] = [];
  #waiting: (() => void)[] = [];
  #url = '';

  static async start(): Promise<Telegram> {
    const telegram = new Telegram();
    const server = createServer(async (request, response) => {
      const method = new URL(request.url ?? '', 'http://x').pathname.split('/').at(-1) ?? '';
      const result = await telegram.#call(method, parsed(await text(request).catch(() => '')));
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ ok: true, result }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    telegram.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    atTestEnd(() => {
      telegram.#wake();
      server.closeAllConnections();
      server.close();
    });
    return telegram;
  }

  get url(): string {
    return this.#url;
  }

  /** What the bot has written to somebody so far. */
  answersTo(user: number): string[] {
    return this.#answers.filter(({ to }) => to === user).map((answer) => answer.text);
  }

  /** Somebody writes to the bot; resolves with what it answers that is like this. */
  async say(user: number, message: string, answer: RegExp, timeoutMs = 60_000): Promise<string> {
    const before = this.answersTo(user).length;
    this.write(user, message);
    return eventually(
      () => {
        const since = this.answersTo(user).slice(before);
        const found = since.find((said) => answer.test(said));
        if (found === undefined) throw new Error(`${user} has not read ${answer}, but ${JSON.stringify(since)}`);
        return found;
      },
      { timeoutMs },
    );
  }

  write(user: number, message: string): void {
    const id = this.#updates.length + 1;
    const who = { id: user, first_name: `User ${user}` };
    this.#updates.push({
      update_id: id,
      message: {
        message_id: id,
        date: 1_800_000_000,
        chat: { ...who, type: 'private' },
        from: { ...who, is_bot: false },
        text: message,
      },
    });
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #call(method: string, body: { offset?: number; chat_id?: number | string; text?: string }): Promise<unknown> {
    switch (method) {
      case 'getUpdates':
        return this.#poll(body.offset ?? 0);
      case 'getMe':
        return { id: 42, is_bot: true, first_name: 'Bot', username: 'the_bot' };
      case 'sendMessage': {
        const to = Number(body.chat_id);
        this.#answers.push({ to, text: body.text ?? '' });
        return {
          message_id: 100_000 + this.#answers.length,
          date: 1,
          chat: { id: to, type: 'private' },
          text: body.text,
        };
      }
      default:
        return true;
    }
  }

  async #poll(offset: number): Promise<Update[]> {
    const news = () => this.#updates.filter(({ update_id }) => update_id >= offset);
    if (news().length > 0) return news();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 2_000);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    return news();
  }
}

function parsed(body: string): object {
  try {
    return JSON.parse(body);
  } catch {
    return {};
  }
}
