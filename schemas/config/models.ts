import { z } from 'zod';
import { decimalSchema } from '../amounts.ts';

const modelSchema = z.strictObject({
  /** How many bucket tokens one request to this model costs. */
  weight: z.int().min(1).max(1_000_000).default(1),
  /** USD per 1,000,000 tokens. */
  input: decimalSchema.optional(),
  output: decimalSchema.optional(),
  aliases: z.array(z.string().min(1)).default([]),
});

/** `config/models.yaml`: the rate card, and what a request to each model costs in bucket tokens. */
export const modelsSchema = z.strictObject({
  models: z.record(z.string().min(1), modelSchema).default({}),
});

export type ModelsConfig = z.infer<typeof modelsSchema>;
