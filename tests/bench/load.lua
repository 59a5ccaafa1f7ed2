-- The same question again and again; at the end one line of JSON that says how it went.
-- Arguments after `--`: METHOD PATH BODY IDS KEYS AUTHORIZATION
--   GET    a document's id is added to PATH, at random one of the first IDS
--   POST   BODY goes to PATH; with KEYS, its own Idempotency-Key with each, which begins with KEYS
--   PUT    BODY goes to PATH/ID, each time another, which begins with KEYS
local TYPE = "application/json"

local function one_of(path, ids)
  local prepared = {}
  for number = 0, ids - 1 do
    prepared[number] = wrk.format("GET", path .. string.format("%024x", number))
  end
  math.randomseed(os.time())
  return function() return prepared[math.random(0, ids - 1)] end
end

local function numbered(head, tail, keys)
  local number = 0
  return function()
    number = number + 1
    return head .. keys .. number .. tail
  end
end

local function keyed(path, body, keys)
  local headers = {["Content-Type"] = TYPE, ["Idempotency-Key"] = "@"}
  local whole = wrk.format("POST", path, headers, body)
  local head, tail = whole:match("^(.-Idempotency%-Key: )@(.*)$")
  return numbered(head, tail, keys)
end

local function put(path, body, keys)
  local whole = wrk.format("PUT", path .. "/@", {["Content-Type"] = TYPE}, body)
  local head, tail = whole:match("^(.-/)@( .*)$")
  return numbered(head, tail, keys)
end

function init(args)
  local method, path, body, ids, keys = args[1], args[2], args[3], tonumber(args[4]), args[5]
  if method == "GET" then
    request = one_of(path, ids)
  elseif method == "PUT" then
    request = put(path, body, keys)
  elseif keys ~= "" then
    request = keyed(path, body, keys)
  else -- wrk forms a request that never changes once
    wrk.method, wrk.path, wrk.body = method, path, body
    wrk.headers["Content-Type"] = TYPE
    if args[6] ~= "" then wrk.headers["Authorization"] = args[6] end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"microseconds":%d,"answers":%d,"refused":%d,"connect_errors":%d,"broken":%d,' ..
    '"p50_us":%.1f,"p99_us":%.1f}\n',
    summary.duration, summary.requests, errors.status, errors.connect,
    errors.read + errors.write, latency:percentile(50), latency:percentile(99)))
end
