-- One usage event. `about.event` is the JSON of everything known before the take, without its closing brace.
local function event_json(about, type, limits, outcome, decided_at, at, candidate, members, count)
  return about.event .. ',"id":"' .. about.id .. ':' .. type .. '","type":"' .. type
    .. (candidate and '","candidate":' .. candidate.json or '"') .. (members or about.model) .. ',"outcome":' .. outcome
    .. ',"count":' .. (count or '1') .. ',"decided_at":' .. decided_at .. ',"at":' .. at .. ',"limits":' .. limits .. '}'
end
