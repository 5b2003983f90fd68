LOCK TABLE "usage_events", "usage_rollups" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
ALTER TABLE "usage_events" RENAME TO "usage_events_unpartitioned";--> statement-breakpoint
CREATE TABLE "usage_events" (LIKE "usage_events_unpartitioned" INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE ("decided_at");--> statement-breakpoint
CREATE TABLE "usage_events_default" PARTITION OF "usage_events" DEFAULT;--> statement-breakpoint
DO $$
DECLARE
	-- Without a zone: months of UTC, whatever the zone of the session.
	this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
	month timestamp;
BEGIN
	FOR month IN
		SELECT generate_series(this_month - interval '1 month', this_month + interval '2 months', '1 month')
		UNION
		SELECT date_trunc('month', decided_at AT TIME ZONE 'UTC') FROM "usage_events_unpartitioned"
		WHERE decided_at < (this_month + interval '3 months') AT TIME ZONE 'UTC'
	LOOP
		EXECUTE format('CREATE TABLE %I PARTITION OF "usage_events" FOR VALUES FROM (%L) TO (%L)',
			'usage_events_' || to_char(month, 'YYYY_MM'),
			month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
	END LOOP;
END
$$;--> statement-breakpoint
INSERT INTO "usage_events" SELECT * FROM "usage_events_unpartitioned";--> statement-breakpoint
DROP TABLE "usage_events_unpartitioned";--> statement-breakpoint
ALTER TABLE "usage_events" ADD CONSTRAINT "usage_events_pk" PRIMARY KEY ("id","decided_at");--> statement-breakpoint
CREATE INDEX "usage_events_tenant_id_decided_at_index" ON "usage_events" USING btree ("tenant_id","decided_at");--> statement-breakpoint
CREATE INDEX "usage_events_decided_at_index" ON "usage_events" USING brin ("decided_at");--> statement-breakpoint
CREATE INDEX "usage_events_recorded_at_index" ON "usage_events" USING brin ("recorded_at");--> statement-breakpoint
CREATE INDEX "usage_events_denied" ON "usage_events" USING btree ("at","id") WHERE "usage_events"."type" = 'denied';--> statement-breakpoint
CREATE INDEX "usage_events_denied_tenant" ON "usage_events" USING btree ("tenant_id","at","id") WHERE "usage_events"."type" = 'denied';--> statement-breakpoint
CREATE INDEX "usage_events_denied_user" ON "usage_events" USING btree ("user_id","at","id") WHERE "usage_events"."type" = 'denied' and "usage_events"."user_id" is not null;--> statement-breakpoint
CREATE INDEX "usage_events_denied_credential" ON "usage_events" USING btree ("credential_id","at","id") WHERE "usage_events"."type" = 'denied' and "usage_events"."credential_id" is not null;--> statement-breakpoint
CREATE INDEX "usage_events_budget_grants" ON "usage_events" USING btree ("at","id") WHERE "usage_events"."budget_grant" is not null;--> statement-breakpoint
ALTER TABLE "usage_rollups" ADD COLUMN "cache_read_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_rollups" ADD COLUMN "cache_write_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_rollups" ADD COLUMN "reasoning_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE "usage_rollups" AS rollup SET
	cache_read_tokens = summed.cache_read, cache_write_tokens = summed.cache_write, reasoning_tokens = summed.reasoning
FROM (
	SELECT tenant_id, cycle_start, cycle_end, day, coalesce(user_id, '') AS user_id, coalesce(team_id, '') AS team_id,
		coalesce(project_id, '') AS project_id, coalesce(candidate, model, '') AS model,
		coalesce(sum(cache_read_tokens), 0) AS cache_read, coalesce(sum(cache_write_tokens), 0) AS cache_write,
		coalesce(sum(reasoning_tokens), 0) AS reasoning
	FROM "usage_events"
	WHERE cache_read_tokens IS NOT NULL OR cache_write_tokens IS NOT NULL OR reasoning_tokens IS NOT NULL
	GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
) AS summed
WHERE (rollup.tenant_id, rollup.cycle_start, rollup.cycle_end, rollup.day, rollup.user_id, rollup.team_id, rollup.project_id, rollup.model)
	= (summed.tenant_id, summed.cycle_start, summed.cycle_end, summed.day, summed.user_id, summed.team_id, summed.project_id, summed.model);--> statement-breakpoint
ALTER TABLE "usage_rollups"
	ALTER COLUMN "cache_read_tokens" SET DEFAULT case when "require"(false, 'this billing worker is older than its database') then 0 end,
	ALTER COLUMN "cache_write_tokens" DROP DEFAULT,
	ALTER COLUMN "reasoning_tokens" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "dead_letters" ADD COLUMN "replayed_at" timestamp with time zone;
