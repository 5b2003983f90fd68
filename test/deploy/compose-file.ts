import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../runtime/package-root.ts';

interface ComposeService {
  image: string;
  command?: string | string[];
  environment?: Record<string, string | number>;
  ports?: string[];
  volumes?: string[];
  read_only?: boolean;
  depends_on?: Record<string, { condition: string }>;
  healthcheck: { test: string[] };
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

const composeFile = join(packageRoot, 'docker-compose.yml');

/** With merge keys resolved and variables left as they are written. */
export const readComposeFile = (): ComposeFile => parse(readFileSync(composeFile, 'utf8'), { merge: true });

/** A service's command as words, as the container runs it. */
export const words = (command: string | string[] = []): string[] =>
  typeof command === 'string' ? command.split(' ') : command;
