/** As much of OpenClaw's plugin SDK as the plugin uses, as OpenClaw 2026.9.6 has it. */
declare module 'openclaw/plugin-sdk/plugin-entry' {
  export interface AgentContext {
    runId?: string;
    agentId?: string;
    sessionKey?: string;
    sessionId?: string;
    modelProviderId?: string;
    modelId?: string;
    /** `user`, `cron`, `heartbeat` and more. */
    trigger?: string;
    channel?: string;
    accountId?: string;
    senderId?: string;
  }

  export interface BeforeAgentRunEvent {
    prompt: string;
    messages: unknown[];
    systemPrompt?: string;
    senderId?: string;
    accountId?: string;
  }

  /** Amounts are LLM tokens, summed over the calls of one attempt. `input` is without what came from a cache. */
  export interface ModelUsage {
    input?: number;
    output?: number;
    cacheRead?: number;
    cacheWrite?: number;
    reasoningTokens?: number;
    total?: number;
  }

  export interface LlmOutputEvent {
    runId: string;
    provider: string;
    model: string;
    resolvedRef?: string;
    assistantTexts: string[];
    lastAssistant?: unknown;
    usage?: ModelUsage;
  }

  export interface ModelCallEndedEvent {
    runId: string;
    outcome: 'completed' | 'error';
    failureKind?: string;
    responseStreamBytes?: number;
  }

  export interface ReplyPayload {
    text?: string;
    isError?: boolean;
    isFallbackNotice?: boolean;
  }

  export interface ReplyPayloadSendingEvent {
    payload: ReplyPayload;
    kind: string;
    runId?: string;
  }

  export type GateResult = { outcome: 'pass' } | { outcome: 'block'; reason: string; message: string };

  interface Hooks {
    before_agent_reply: (
      event: { cleanedBody: string },
      ctx: AgentContext,
    ) => Promise<{ handled: boolean; reply?: ReplyPayload } | undefined>;
    before_model_resolve: (
      event: { prompt: string },
      ctx: AgentContext,
    ) => Promise<{ providerOverride: string; modelOverride: string } | undefined>;
    before_agent_run: (event: BeforeAgentRunEvent, ctx: AgentContext) => Promise<GateResult>;
    model_call_ended: (event: ModelCallEndedEvent, ctx: AgentContext) => void;
    llm_output: (event: LlmOutputEvent, ctx: AgentContext) => Promise<void>;
    agent_end: (event: { runId?: string; success: boolean; error?: string }, ctx: AgentContext) => Promise<void>;
    reply_payload_sending: (
      event: ReplyPayloadSendingEvent,
      ctx: { runId?: string },
    ) => Promise<{ payload: ReplyPayload } | undefined>;
    before_dispatch: (event: object, ctx: object) => Promise<{ handled: boolean; text?: string } | undefined>;
    gateway_start: (event: { port: number }, ctx: { abortSignal?: AbortSignal }) => Promise<void>;
    gateway_stop: (event: { reason?: string }) => Promise<void>;
  }

  export interface PluginLogger {
    info(message: string): void;
    warn(message: string): void;
    error(message: string): void;
  }

  export interface PluginApi {
    id: string;
    /** `full` where hooks will fire; `discovery` and others only look at what is registered. */
    registrationMode: string;
    /** All of openclaw.json. */
    config: unknown;
    pluginConfig?: unknown;
    logger: PluginLogger;
    runtime: { state: { resolveStateDir(): string } };
    on<Name extends keyof Hooks>(
      name: Name,
      handler: Hooks[Name],
      options?: { timeoutMs?: number; eligibleTriggers?: string[] },
    ): void;
  }

  export function definePluginEntry(entry: {
    id: string;
    name: string;
    description: string;
    register(api: PluginApi): void;
  }): unknown;
}
