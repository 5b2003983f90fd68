import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from './exec.ts';
import type { Order, Question, Running } from './system.ts';
import type { Tools } from './tools.ts';

export interface Load {
  seconds: number;
  connections: number;
  callers: number;
  order: Order;
  /** Milliseconds that a connection waits before it asks again; none if not given. */
  pauseMs?: number;
  /** Look at every answer whole, which takes a good part of the machine. */
  checked?: boolean;
}

/** Of all answers: whoever has a deadline may refuse some where the machine stands still for a moment. */
const MOST_REFUSED = 0.01;

/** More than that: the machine was busy with something else, or the system is not what it should be. */
export class TooManyRefused extends Error {
  override readonly name = 'TooManyRefused';

  static check(refused: number, answers: number, example = ''): void {
    if (refused <= MOST_REFUSED * answers) return;
    throw new TooManyRefused(`of ${answers} answers ${refused} grant nothing${example ? `, such as: ${example}` : ''}`);
  }
}

export interface LoadResult {
  requests: number;
  seconds: number;
  bytes: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Seconds that the generator may take longer than it was asked for. */
const PATIENCE_S = 30;
let seed = 0;

/**
 * A closed loop: each connection asks again as soon as it has its answer. Throws where one is missing or has another status
 * than 200, or, if they are looked at, too many say something else.
 */
export async function drive(running: Running, load: Load, tools: Tools): Promise<LoadResult> {
  const spec = join(tools.folder, 'question.lua');
  await writeFile(spec, asLua(running, load));
  const script = join(tools.root, 'bench', 'neighbours', 'load.lua');
  const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '10s', '-s', script, running.url];
  const stdout = await exec(await tools.bring('wrk'), [...args, '--', spec], (load.seconds + PATIENCE_S) * 1_000);
  const said = JSON.parse(stdout.split('\n').find((line) => line.startsWith('{')) ?? '{}');
  const { example, failed, statuses, timeouts, wrong } = said;
  if (!(said.requests > 0)) throw new Error(`the load generator got no answer:\n${stdout}`);
  if (failed || statuses || timeouts) {
    throw new Error(
      `of ${said.requests} answers ${failed} failed, ${timeouts} timed out, ${statuses} had an error's status`,
    );
  }
  TooManyRefused.check(wrong, said.requests, example);
  return {
    requests: said.requests,
    seconds: said.microseconds / 1e6,
    bytes: said.bytes,
    p50Ms: said.p50 / 1_000,
    p99Ms: said.p99 / 1_000,
    maxMs: said.max / 1_000,
  };
}

const PLACE = /\{(\d+|new)\}/;
const DIGITS = '0000000';

/** One request as it goes over the wire; `number` is what stands for each place. */
export function requestText({ body, headers = {}, method, path }: Question, host: string): string {
  const length = Buffer.byteLength((body ?? '').replaceAll(new RegExp(PLACE, 'g'), DIGITS));
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${length}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

function asLua({ granted, question, url }: Running, { callers, checked, order, pauseMs }: Load): string {
  const parts = requestText(question, new URL(url).host).split(PLACE);
  const texts = parts.filter((_, index) => index % 2 === 0).map(quoted);
  const offsets = parts.filter((_, index) => index % 2 === 1).map((part) => (part === 'new' ? '"new"' : part));
  // What was never asked before is not asked in a later round either.
  seed += 1_000_003;
  const fields = [
    `texts = {${texts.join(', ')}}`,
    `offsets = {${offsets.join(', ')}}`,
    `decisions = ${question.decisions}, callers = ${callers}, order = ${quoted(order)}, seed = ${seed}`,
    ...(pauseMs === undefined ? [] : [`pause = ${pauseMs}`]),
    ...(checked ? [`granted = ${quoted(granted)}`] : []),
  ];
  return `return { ${fields.join(', ')} }\n`;
}

/** What JSON escapes, Lua escapes the same way, as long as it is ASCII. */
const quoted = (text: string) => JSON.stringify(text);
