CREATE TABLE "dead_letters" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "dead_letters_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"stream" text NOT NULL,
	"stream_id" text NOT NULL,
	"raw" text,
	"digest" text NOT NULL,
	"reason" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dead_letters_entry" UNIQUE("stream","stream_id","digest")
);
--> statement-breakpoint
CREATE TABLE "usage_events" (
	"id" text NOT NULL,
	"type" text NOT NULL,
	"decision_id" text NOT NULL,
	"request_id" text,
	"run_id" text,
	"tenant_id" text NOT NULL,
	"user_id" text,
	"team_id" text,
	"project_id" text,
	"department_id" text,
	"agent_id" text,
	"channel" text,
	"credential_id" text,
	"source_ip" text,
	"provider" text,
	"model" text,
	"candidate" text,
	"requests" bigint NOT NULL,
	"denied" bigint NOT NULL,
	"tokens" bigint NOT NULL,
	"input_tokens" bigint,
	"output_tokens" bigint,
	"cache_read_tokens" bigint,
	"cache_write_tokens" bigint,
	"reasoning_tokens" bigint,
	"price_per_token" numeric(30, 12) NOT NULL,
	"cost_usd" numeric(30, 12) NOT NULL,
	"limits" jsonb NOT NULL,
	"granted" boolean NOT NULL,
	"reason" text NOT NULL,
	"policy_revision" text,
	"degraded" boolean NOT NULL,
	"cycle_start" timestamp with time zone NOT NULL,
	"cycle_end" timestamp with time zone NOT NULL,
	"day" date NOT NULL,
	"decided_at" timestamp with time zone NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"stream_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "usage_events_pk" PRIMARY KEY("id","decided_at"),
	CONSTRAINT "usage_events_decided_within_cycle" CHECK ("usage_events"."decided_at" >= "usage_events"."cycle_start" and "usage_events"."decided_at" < "usage_events"."cycle_end")
);
--> statement-breakpoint
CREATE TABLE "usage_rollups" (
	"tenant_id" text NOT NULL,
	"cycle_start" timestamp with time zone NOT NULL,
	"cycle_end" timestamp with time zone NOT NULL,
	"day" date NOT NULL,
	"user_id" text NOT NULL,
	"team_id" text NOT NULL,
	"project_id" text NOT NULL,
	"model" text NOT NULL,
	"requests" bigint NOT NULL,
	"denied" bigint NOT NULL,
	"tokens" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"cost_usd" numeric(30, 12) NOT NULL,
	CONSTRAINT "usage_rollups_pk" PRIMARY KEY("tenant_id","cycle_start","cycle_end","day","user_id","team_id","project_id","model")
);
--> statement-breakpoint
CREATE INDEX "usage_events_tenant_id_decided_at_index" ON "usage_events" USING btree ("tenant_id","decided_at");--> statement-breakpoint
CREATE INDEX "usage_events_decided_at_index" ON "usage_events" USING brin ("decided_at");--> statement-breakpoint
CREATE INDEX "usage_rollups_cycle_end_index" ON "usage_rollups" USING btree ("cycle_end");