-- The same small document again and again; at the end one line of JSON that says how it went.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name":"Ada Lovelace","born":1815,"fields":["mathematics","engines"]}'

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"microseconds":%d,"answers":%d,"refused":%d,"connect_errors":%d,"broken":%d,' ..
    '"p50_us":%.1f,"p99_us":%.1f}\n',
    summary.duration, summary.requests, errors.status, errors.connect,
    errors.read + errors.write, latency:percentile(50), latency:percentile(99)))
end
