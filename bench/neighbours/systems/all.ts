import type { System } from '../system.ts';
import { oursOnCluster } from './cluster.ts';
import { oursEmbedded, oursStarted } from './embedded.ts';
import { envoyRatelimit } from './envoy-ratelimit.ts';
import { nginx } from './nginx.ts';
import { hono, honoEvalsha, honoEvalshaAlone, honoRateLimiterFlexible, nodeHttp } from './node-servers.ts';
import { opa } from './opa.ts';
import {
  ours,
  oursAlone,
  oursBudgets,
  oursInBatches,
  oursMillion,
  oursMillionAlike,
  oursShare,
  oursUnheard,
  oursWorkers,
  oursWorkersShare,
} from './ours.ts';
import { honoUpstashRatelimit, oursOnUpstash } from './upstash.ts';

/** In the order in which they take turns: what is compared follows closely upon each other. */
export const SYSTEMS: System[] = [
  opa,
  ours,
  oursWorkers,
  hono,
  nodeHttp,
  nginx,
  envoyRatelimit,
  honoEvalsha,
  honoRateLimiterFlexible,
  oursEmbedded,
  oursStarted,
  oursInBatches,
  oursBudgets,
  oursUnheard,
  oursMillion,
  oursMillionAlike,
  oursOnCluster,
  oursOnUpstash,
  honoUpstashRatelimit,
  oursShare,
  oursWorkersShare,
  oursAlone,
  honoEvalshaAlone,
];
