import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bringOpenClaw } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { loadScript } from '../setup/scripts.ts';

const pluginFolder = fileURLToPath(new URL('../../openclaw-plugin', import.meta.url));
const START_MS = 180_000;
const RELOAD_MS = 60_000;
const TURN_MS = 60_000;
const TOKEN = 'the-gateway-token';

export interface OpenClawOptions {
  models: string;
  /** Undefined: no Telegram. */
  telegram?: string;
  /** The plugin's configuration. */
  rating: object;
  /** What the plugin is given leave for; by default what it needs. */
  hooks?: object;
  env?: Record<string, string>;
  /** More of openclaw.json. */
  more?: object;
}

interface AskOptions {
  /** Default: webchat. */
  channel?: string;
  signal?: AbortSignal;
  /** Each has a session. */
  user?: string;
}

export interface Reply {
  status: number;
  /** What the caller reads, an answer or an error. */
  text: string;
}

/** The real OpenClaw with the plugin, as a user runs it, with a state of its own. */
export class OpenClaw {
  readonly #program: { node: string; program: string };
  readonly #folder: string;
  readonly #env: Record<string, string>;
  #options: OpenClawOptions;
  #port = 0;
  #gateway: Child | undefined;

  private constructor(program: { node: string; program: string }, folder: string, options: OpenClawOptions) {
    this.#program = program;
    this.#folder = folder;
    this.#options = options;
    this.#env = {
      PATH: [dirname(program.node), process.env.PATH].join(delimiter),
      HOME: folder,
      NO_COLOR: '1',
      OPENCLAW_CONFIG_PATH: join(folder, 'openclaw.json'),
      OPENCLAW_STATE_DIR: this.stateDir,
      OPENCLAW_NO_AUTO_UPDATE: '1',
      OPENCLAW_DISABLE_BONJOUR: '1',
      OPENCLAW_SKIP_CRON: '1',
      ...options.env,
    };
  }

  static async install(options: OpenClawOptions): Promise<OpenClaw> {
    const program = await bringOpenClaw();
    await (await loadScript('build.mjs')).ensurePluginBuilt();
    const openclaw = new OpenClaw(program, await tempDir('openclaw'), options);
    await openclaw.configure({});
    return openclaw;
  }

  get stateDir(): string {
    return join(this.#folder, 'state');
  }

  get gateway(): Child {
    if (!this.#gateway) throw new Error('the gateway was not started');
    return this.#gateway;
  }

  /** Writes openclaw.json anew; resolves when the gateway, if it runs, has taken it up. */
  async configure(changed: Partial<OpenClawOptions>): Promise<void> {
    const reloads = this.#reloads();
    this.#options = { ...this.#options, ...changed };
    if (this.#port === 0) this.#port = await freePort();
    await mkdir(join(this.#folder, 'workspace'), { recursive: true });
    const text = JSON.stringify(configOf(this.#options, this.#port, join(this.#folder, 'workspace')), null, 2);
    await writeFile(join(this.#folder, 'openclaw.json'), text);
    if (!this.#gateway) return;
    const reloaded = () => this.#reloads() > reloads || Promise.reject(new Error('the gateway has not reloaded'));
    await eventually(reloaded, { timeoutMs: RELOAD_MS });
  }

  /** Resolves when it takes turns. */
  async start(): Promise<Child> {
    this.#gateway = this.#run(['gateway', 'run', '--port', String(this.#port)]);
    await this.#gateway.waitForLine(/\[gateway\] ready/, START_MS);
    return this.#gateway;
  }

  /** The lines of the gateway that are like this. */
  said(pattern: RegExp): string[] {
    return this.gateway.output.filter((line) => pattern.test(line));
  }

  /** One turn over the HTTP endpoint. */
  async ask(message: string, { channel, signal, user = 'somebody' }: AskOptions = {}): Promise<Reply> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${TOKEN}`,
        'Content-Type': 'application/json',
        ...(channel !== undefined && { 'X-OpenClaw-Message-Channel': channel }),
      },
      body: JSON.stringify({ model: 'openclaw', user, messages: [{ role: 'user', content: message }] }),
      signal: signal ?? AbortSignal.timeout(TURN_MS),
    });
    const body = (await response.json()) as {
      choices?: { message: { content: string } }[];
      error?: { message: string };
    };
    return { status: response.status, text: body.choices?.[0]?.message.content ?? body.error?.message ?? '' };
  }

  /** One of OpenClaw's commands, to its end; resolves with what it wrote. */
  async command(...args: string[]): Promise<string> {
    const child = this.#run(args);
    await child.exited;
    return child.output.join('\n');
  }

  #reloads(): number {
    return this.#gateway ? this.said(/config hot reload applied/).length : 0;
  }

  #run(args: string[]): Child {
    const { node, program } = this.#program;
    return new Child(node, { args: [program, ...args], env: this.#env, cwd: this.#folder });
  }
}

const model = (id: string) => ({
  id,
  name: id,
  reasoning: false,
  input: ['text'],
  cost: { input: 1, output: 2, cacheRead: 0.1, cacheWrite: 1 },
  contextWindow: 128_000,
  maxTokens: 4_096,
});

function configOf({ hooks, models, more, rating, telegram }: OpenClawOptions, port: number, workspace: string): object {
  return {
    plugins: {
      allow: ['rating-engine', 'telegram'],
      load: { paths: [pluginFolder] },
      entries: {
        'rating-engine': { enabled: true, hooks: hooks ?? { allowConversationAccess: true }, config: rating },
      },
    },
    models: {
      mode: 'replace',
      catalogRefresh: { enabled: false },
      providers: {
        lab: {
          baseUrl: models,
          apiKey: 'a-key-of-the-lab',
          api: 'openai-completions',
          models: [model('big-model'), model('small-model')],
        },
      },
    },
    agents: {
      defaults: {
        workspace,
        maxConcurrent: 16,
        model: { primary: 'lab/big-model', fallbacks: ['lab/small-model'] },
        skipBootstrap: true,
      },
    },
    gateway: {
      mode: 'local',
      port,
      bind: 'loopback',
      auth: { mode: 'token', token: TOKEN },
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    discovery: { mdns: { mode: 'off' } },
    update: { checkOnStart: false },
    telemetry: { enabled: false },
    ...(telegram !== undefined && {
      channels: {
        telegram: {
          enabled: true,
          botToken: '42:a-token',
          apiRoot: telegram,
          dmPolicy: 'open',
          allowFrom: ['*'],
          commands: { native: false, nativeSkills: false },
          streaming: { mode: 'off' },
          network: { dangerouslyAllowPrivateNetwork: true },
        },
      },
    }),
    ...more,
  };
}
