CREATE TABLE "held_events" (
	"event_id" text NOT NULL,
	"decided_at" timestamp with time zone NOT NULL,
	"tenant_id" text NOT NULL,
	"cycle_start" timestamp with time zone NOT NULL,
	"cycle_end" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"held_at" timestamp with time zone NOT NULL,
	CONSTRAINT "held_events_pk" PRIMARY KEY("event_id","decided_at")
);
--> statement-breakpoint
CREATE INDEX "held_events_tenant_id_model_index" ON "held_events" USING btree ("tenant_id","model");