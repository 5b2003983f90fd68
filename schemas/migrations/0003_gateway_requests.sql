CREATE TABLE "gateway_requests" (
	"id" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"tenant_id" text,
	"team_id" text,
	"user_id" text,
	"credential_id" text,
	"decision_id" text,
	"method" text,
	"path" text,
	"status" integer NOT NULL,
	"duration_ms" bigint,
	"bytes_in" bigint,
	"bytes_out" bigint,
	"gateway" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "gateway_requests_pk" PRIMARY KEY("id","at")
);
--> statement-breakpoint
CREATE INDEX "gateway_requests_at_index" ON "gateway_requests" USING brin ("at");--> statement-breakpoint
CREATE INDEX "gateway_requests_tenant_id_at_index" ON "gateway_requests" USING btree ("tenant_id","at");--> statement-breakpoint
CREATE INDEX "gateway_requests_decision_id_index" ON "gateway_requests" USING btree ("decision_id") WHERE "gateway_requests"."decision_id" is not null;