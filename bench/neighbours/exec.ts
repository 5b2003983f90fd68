import { type ChildProcess, execFile } from 'node:child_process';

/** Those that run: they do not outlive this process. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill();
});

/** Runs a program to its end, and gives its standard output; throws with what it said if it fails. */
export function exec(command: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: timeoutMs, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      running.delete(child);
      if (error) reject(new Error(`${command} ${args.join(' ')}: ${stderr || stdout || error.message}`));
      else resolve(stdout);
    });
    running.add(child);
  });
}
