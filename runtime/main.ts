import { ConfigError } from './config/config-error.ts';
import { type Environment, processEnvironment } from './config/environment.ts';
import { createLog, type Log } from './log.ts';
import { Closers, closeOnSignals, GRACE_MS } from './shutdown.ts';
import { type OpenTracing, openTracing } from './tracing/tracing.ts';

export interface Process {
  environment: Environment;
  log: Log;
  /** Whatever is opened is added here, and closed in reverse order at the end. */
  closers: Closers;
  /** Undefined: nothing is traced. */
  tracing?: OpenTracing | undefined;
  /** Says something to the person who started it, beside the log. */
  print(text: string): void;
  /** Closes everything and ends the process, as a signal does. */
  stop(): void;
  /** Ends a process that runs, as a wrong configuration ends one that starts. */
  fail(error: unknown): void;
}

/**
 * Runs a program: reads the environment, starts, and stays until a signal. What is wrong with the configuration is
 * printed for a person, one problem to a line, and ends the process with 1. `name`: by which its traces are known.
 */
export async function runMain(name: string, start: (context: Process) => Promise<void>): Promise<void> {
  const closers = new Closers();
  const exit = (code: number) => process.exit(code);
  let failed = false;
  const fail = async (what: string, error: unknown) => {
    if (failed) return;
    failed = true;
    process.stderr.write(`${what}:\n${explain(error)}\n`);
    setTimeout(() => exit(1), GRACE_MS).unref();
    await closers.closeAll().catch(() => {});
    exit(1);
  };
  try {
    const environment = processEnvironment();
    const log = createLog(environment.LOG_LEVEL, { terminal: process.stdout.isTTY });
    const stop = closeOnSignals(closers, log, exit, environment.DRAIN_MS + GRACE_MS);
    await start({
      environment,
      log,
      closers,
      tracing: await openTracing({ environment, name, closers, log }),
      print: (text) => process.stdout.write(`${text}\n`),
      stop,
      fail: (error) => void fail('cannot go on', error),
    });
  } catch (error) {
    await fail('cannot start', error);
  }
}

function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.map((problem) => `  ${problem}`).join('\n');
  if (!(error instanceof Error)) return `  ${String(error)}`;
  // Errors with a name of their own are written for people; of others the stack is worth more than the message.
  return `  ${error.name === 'Error' || error.name.endsWith('TypeError') ? error.stack : error.message}`;
}
