import { drive } from './load.ts';
import { residentMiB } from './process-meter.ts';
import { median } from './results.ts';
import { loadOf, type Started, warmUp } from './round.ts';
import { ours } from './systems/ours.ts';
import type { Tools } from './tools.ts';

export interface SoakOptions {
  minutes: number;
}

interface Sample {
  seconds: number;
  perSecond: number;
  p99Ms: number;
  sidecarMiB: number;
  redisMiB: number;
}

const FULL_S = 10;
const STEP_S = 15;
/** Memory after this part of the time is compared with that at the end: after 5 minutes of 30. */
const SETTLED = 1 / 6;
/** Samples around a moment that count for it: a heap breathes. */
const AROUND = 5;
const MOST = 1.1;

/**
 * The sidecar at half of what it can, for so long. Prints what it is like now and then, and its memory at the end to that after
 * a sixth of the time; gives whether that is no more than 1.1.
 */
export async function soak({ minutes }: SoakOptions, tools: Tools, log: (line: string) => void): Promise<boolean> {
  const started = { system: ours, running: await ours.start(tools) };
  try {
    await warmUp(started, 50_000, tools);
    const { connections } = loadOf(ours);
    const full = await drive(started.running, { ...loadOf(ours), seconds: FULL_S }, tools);
    await started.running.tidy?.();
    const wanted = full.requests / full.seconds / 2;
    log(`full load: ${Math.round(wanted * 2)}/s; half of it for ${minutes} minutes`);
    const samples: Sample[] = [];
    // Each connection waits between its questions for as long as makes it half, corrected by what came of it.
    let pauseMs = (1_000 * connections) / wanted - full.p50Ms / 2;
    for (let seconds = 0; seconds < minutes * 60; seconds += STEP_S) {
      const sample = await step(started, Math.max(1, Math.round(pauseMs)), tools);
      pauseMs += (1_000 * connections) / wanted - (1_000 * connections) / sample.perSecond;
      samples.push({ ...sample, seconds: seconds + STEP_S });
      if (samples.length % 4 === 0) log(`${seconds + STEP_S} s: ${JSON.stringify(sample)}`);
    }
    return report(samples);
  } finally {
    await started.running.stop();
  }
}

async function step({ running, system }: Started, pauseMs: number, tools: Tools): Promise<Omit<Sample, 'seconds'>> {
  const { p99Ms, requests, seconds } = await drive(running, { ...loadOf(system), seconds: STEP_S, pauseMs }, tools);
  const [sidecarMiB, redisMiB] = [await residentMiB(running.pids.server), await residentMiB(running.pids.store)];
  await running.tidy?.();
  const rounded = (value: number) => Math.round(value * 10) / 10;
  return {
    perSecond: Math.round(requests / seconds),
    p99Ms: rounded(p99Ms),
    sidecarMiB: rounded(sidecarMiB),
    redisMiB: rounded(redisMiB),
  };
}

function report(samples: readonly Sample[]): boolean {
  const settled = Math.floor(samples.length * SETTLED);
  const around = (from: number) => median(samples.slice(from, from + AROUND).map(({ sidecarMiB }) => sidecarMiB));
  const [first, last] = [around(Math.max(0, settled - 1)), around(Math.max(0, samples.length - AROUND))];
  const ratio = last / first;
  console.log(
    `sidecar: ${first.toFixed(0)} MiB after ${settled * STEP_S} s, ${last.toFixed(0)} MiB at the end: ` +
      `${ratio.toFixed(2)}, wanted ≤ ${MOST}`,
  );
  return ratio <= MOST;
}
