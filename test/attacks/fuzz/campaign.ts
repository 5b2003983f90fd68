import type { Answer } from './answer-reader.ts';
import { Connection, type Outcome } from './connection.ts';
import { Dice } from './dice.ts';
import { wrongWith } from './judge.ts';
import { shout } from './raw-bytes.ts';
import { type Access, type FuzzRequest, someGarbage, someRequest } from './request.ts';
import type { Seen } from './routes.ts';

export interface CampaignOptions {
  seed: number;
  /** How many requests there are, all together. */
  requests: number;
  /** So many send at once, each on a connection of its own to each service. */
  loops: number;
  ports: { sidecar: number; worker: number };
  access: Access;
  /** Asked between two rounds of a loop: throws if somebody innocent is not answered as ever. */
  innocent(): Promise<void>;
}

export interface Report {
  requests: number;
  /** How often each status came, by service: `sidecar 200`; `raw 400` for what was no HTTP. */
  statuses: Record<string, number>;
  /** What must not be, with what it takes to see it again; no more than a few. */
  violations: string[];
}

const DEADLINE_MS = 10_000;
const MAX_VIOLATIONS = 20;
const MAX_PIPELINE = 6;
const RAW = 0.01;
/** An innocent request after so many of a loop. */
const INNOCENT_EVERY = 200;
const MAX_SEEN = 64;

/** Attacks both services with requests made of one seed, and judges each answer. */
export async function campaign(options: CampaignOptions): Promise<Report> {
  const report: Report = { requests: 0, statuses: {}, violations: [] };
  const each = Math.ceil(options.requests / options.loops);
  await Promise.all(Array.from({ length: options.loops }, (_, loop) => new Loop(options, report, loop).run(each)));
  return report;
}

class Loop {
  readonly #options: CampaignOptions;
  readonly #report: Report;
  readonly #dice: Dice;
  readonly #name: string;
  readonly #seen: Seen = { decisions: [], keys: [] };
  readonly #connections: { sidecar: Connection; worker: Connection };

  constructor(options: CampaignOptions, report: Report, loop: number) {
    const { ports, seed } = options;
    this.#options = options;
    this.#report = report;
    this.#dice = new Dice(seed * 1_000 + loop);
    this.#name = `seed ${seed}, loop ${loop}`;
    this.#connections = {
      sidecar: new Connection(ports.sidecar, DEADLINE_MS),
      worker: new Connection(ports.worker, DEADLINE_MS),
    };
  }

  async run(requests: number): Promise<void> {
    let sinceInnocent = 0;
    for (let sent = 0; sent < requests && this.#report.violations.length < MAX_VIOLATIONS; ) {
      const count = this.#dice.chance(RAW) ? await this.#raw() : await this.#pipeline();
      sent += count;
      this.#report.requests += count;
      sinceInnocent += count;
      if (sinceInnocent < INNOCENT_EVERY) continue;
      sinceInnocent = 0;
      await this.#options.innocent().catch((error: Error) => this.#violation(`an innocent request: ${error.message}`));
    }
    for (const connection of Object.values(this.#connections)) connection.end();
  }

  async #raw(): Promise<number> {
    const { access, ports } = this.#options;
    const bytes = someGarbage(this.#dice, access, this.#seen);
    const said = await shout(this.#dice.chance(0.5) ? ports.sidecar : ports.worker, bytes);
    this.#count(`raw ${/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] ?? 'closed'}`);
    if (/^HTTP\/1\.1 5/.test(said)) this.#violation(`${said} to ${shown(bytes)}`);
    return 1;
  }

  /** Some requests to one service on one connection, one behind the other. */
  async #pipeline(): Promise<number> {
    const length = 1 + this.#dice.below(MAX_PIPELINE);
    const made = Array.from({ length }, () => someRequest(this.#dice, this.#options.access, this.#seen));
    const { service } = (made[0] as FuzzRequest).route;
    const requests = made.filter(({ route }) => route.service === service);
    const outcomes = await this.#sent(service, requests);
    for (const [index, request] of requests.entries()) this.#judge(request, outcomes[index] ?? 'closed');
    return requests.length;
  }

  /** One that ends its connection takes those behind it with it: they are sent again. */
  async #sent(service: 'sidecar' | 'worker', requests: readonly FuzzRequest[]): Promise<Outcome[]> {
    const connection = this.#connections[service];
    try {
      const outcomes = await connection.send(requests);
      const answered = outcomes.indexOf('closed');
      if (answered < 0 || requests.length === 1) return outcomes;
      const rest = requests.slice(answered);
      // The first of them may be the one that is not answered: alone, so that it takes nobody with it.
      const again = [
        ...(await this.#sent(service, rest.slice(0, 1))),
        ...(rest.length > 1 ? await this.#sent(service, rest.slice(1)) : []),
      ];
      return [...outcomes.slice(0, answered), ...again];
    } catch (error) {
      this.#violation(`${(error as Error).message}: ${requests.map(({ bytes }) => shown(bytes)).join('\n')}`);
      return [];
    }
  }

  #judge({ bytes, route, toHead }: FuzzRequest, outcome: Outcome): void {
    if (outcome === 'closed') {
      this.#count(`${route.service} closed`);
      this.#violation(`no answer to ${shown(bytes)}`);
      return;
    }
    this.#count(`${route.service} ${outcome.status}`);
    if (outcome.status === 503) this.#count(`503 ${outcome.body.toString().slice(0, 120)}`);
    const wrong = wrongWith(outcome);
    if (wrong) this.#violation(`${wrong}, ${outcome.body.toString().slice(0, 300)}, to ${shown(bytes)}`);
    else if (!toHead) this.#remember(outcome);
  }

  #remember({ body, headers }: Answer): void {
    if (headers.has('content-encoding')) return;
    const text = body.toString();
    keep(this.#seen.decisions, /"decision_id":\s*"([0-9a-f.-]+)"/.exec(text)?.[1]);
    keep(this.#seen.keys, /"id":"(k0_\w+)"/.exec(text)?.[1]);
  }

  #count(name: string): void {
    this.#report.statuses[name] = (this.#report.statuses[name] ?? 0) + 1;
  }

  #violation(what: string): void {
    this.#report.violations.push(`${this.#name}: ${what}`);
  }
}

function keep(list: string[], id: string | undefined): void {
  if (id === undefined) return;
  list.push(id);
  if (list.length > MAX_SEEN) list.shift();
}

const shown = (bytes: Buffer) => JSON.stringify(bytes.toString('latin1').slice(0, 1_500));
