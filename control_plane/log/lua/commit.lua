-- Changes a meeting's live state and appends the events that tell of it: all or nothing.
--
-- KEYS[1]  prefix of the meeting's keys, `parley:{<meeting>}:`; the hash tag keeps them in one slot of a cluster.
-- ARGV[1]  JSON: { op, op_ttl_ms, op_result, time, trace, max_length, keep_ms, generation, checks: [[name, ...]], steps: [[name, ...]] }
-- ARGV[2..]  serialised events, which steps name by their places: 1 is the first.
-- Returns  { status, detail, cursor, generation }: status "ok" (detail "silent": the media of who has signalled is), "done" (this op
--          was committed before; detail is its result), or the name of the check that failed.
--
-- Documents and events are opaque strings here: they are compared and stored, never read, except where a step says so.
-- Entries of the log have the fields e (event), r (recipient), p (what caused it), or s (a stream that r opened).

local prefix = KEYS[1]
local command = cjson.decode(ARGV[1])
local function key(name) return prefix .. name end
local meta, log = key('meta'), key('log')
local participants, presence = key('participants'), key('presence')
local sessions, reserved = key('sessions'), key('reserved')
local lasting = { 'meta', 'log', 'participants', 'presence', 'silent', 'sessions', 'reserved', 'people' }

local function answer(status, detail)
  return {
    status, detail or '',
    redis.call('HGET', meta, 'last') or '0-0',
    redis.call('HGET', meta, 'generation') or '',
  }
end

local function append(...)
  redis.call('HSET', meta, 'last', redis.call('XADD', log, 'MAXLEN', '~', command.max_length, '*', ...))
end

local function tell(recipient, event)
  append('e', ARGV[event + 1], 'r', recipient, 'p', command.trace)
end

-- All that is kept of a meeting lasts as long as the meeting does; without a time, until that is said again.
local function keep(milliseconds)
  local names = {}
  for _, name in ipairs(lasting) do names[#names + 1] = name end
  for _, session in ipairs(redis.call('HKEYS', sessions)) do
    names[#names + 1] = 'slots:' .. session
    names[#names + 1] = 'encodings:' .. session
  end
  for _, name in ipairs(names) do
    if milliseconds then redis.call('PEXPIRE', key(name), milliseconds) else redis.call('PERSIST', key(name)) end
  end
end

-- What is kept of a session: as long as its meeting.
local function keep_session(name)
  local left = redis.call('PTTL', meta)
  if left > 0 then redis.call('PEXPIRE', name, left) end
end

local function session_of(document)
  local good, value = pcall(cjson.decode, document)
  return good and type(value) == 'table' and value.session_id or ''
end

local function forget_session(session)
  redis.call('DEL', key('slots:' .. session), key('encodings:' .. session))
end

local function drop_sessions(participant, except)
  local all = redis.call('HGETALL', sessions)
  for i = 1, #all, 2 do
    if all[i + 1] == participant and all[i] ~= except then
      redis.call('HDEL', sessions, all[i])
      forget_session(all[i])
    end
  end
end

-- Whose the places are, those of people about to come in too: by participant, 'host' or nothing, a space, and the token's subject.
local people = key('people')

-- Of participants over whose connection nothing comes: since when, a space, and their last sign of signalling. Presence holds when
-- that of each participant ends.
local silent = key('silent')

local function silence_of(id)
  local since, sign = string.match(redis.call('HGET', silent, id) or '', '^(%S+) (%S+)$')
  return tonumber(since), tonumber(sign)
end

local function set_silence(id, since, sign, usual, short)
  redis.call('HSET', silent, id, string.format('%.0f %.0f', since, sign))
  redis.call('ZADD', presence, string.format('%.0f', math.min(sign + usual, math.max(since, sign) + short)), id)
end

local function drop_reservations(now)
  for _, id in ipairs(redis.call('ZRANGE', reserved, '-inf', now, 'BYSCORE')) do
    redis.call('ZREM', reserved, id)
    if redis.call('HEXISTS', participants, id) == 0 then redis.call('HDEL', people, id) end
  end
end

local function others(id, matches)
  local count, all = 0, redis.call('HGETALL', people)
  for i = 1, #all, 2 do
    if all[i] ~= id and matches(all[i + 1]) then count = count + 1 end
  end
  return count
end

local checks = {
  -- The meeting has not ended.
  live = function() return redis.call('HEXISTS', meta, 'ended') == 0 end,
  -- It has not, and is not about to: people may come in.
  open = function()
    return redis.call('HEXISTS', meta, 'ended') == 0
      and tonumber(redis.call('HGET', meta, 'ending') or '0') <= tonumber(command.time)
  end,
  -- A participant's document is still this one; empty: there is none.
  document = function(c) return (redis.call('HGET', participants, c[2]) or '') == c[3] end,
  -- The meeting's own fields are still these; empty: none are known.
  meeting = function(c) return (redis.call('HGET', meta, 'meeting') or '') == c[2] end,
  present = function(c) return redis.call('HEXISTS', participants, c[2]) == 1 end,
  -- There is room for one more, those about to come in counted; the host finds a place in a full meeting.
  capacity = function(c)
    if redis.call('HEXISTS', participants, c[2]) == 1 then return true end
    drop_reservations(c[4])
    if c[5] == 'host' and others(c[2], function(of) return string.sub(of, 1, 4) == 'host' end) == 0 then return true end
    local coming = redis.call('ZCARD', reserved)
    if redis.call('ZSCORE', reserved, c[2]) then coming = coming - 1 end
    return redis.call('HLEN', participants) + coming < tonumber(c[3])
  end,
  -- One user or guest is in the meeting, or about to be, less often than this.
  devices = function(c)
    local function theirs(of) return string.sub(of, (string.find(of, ' ', 1, true) or 0) + 1) == c[3] end
    return others(c[2], theirs) < c[4]
  end,
  -- A hash holds just this.
  hash = function(c)
    local flat, wanted = redis.call('HGETALL', key(c[2])), 0
    for _ in pairs(c[3]) do wanted = wanted + 1 end
    for i = 1, #flat, 2 do
      if c[3][flat[i]] ~= flat[i + 1] then return false end
    end
    return #flat == 2 * wanted
  end,
  -- A session belongs to the participant, as their current or their coming one.
  session = function(c) return redis.call('HGET', sessions, c[2]) == c[3] end,
  -- One of these sessions, each with its participant, is here.
  any_session = function(c)
    for i = 2, #c, 2 do
      if redis.call('HGET', sessions, c[i]) == c[i + 1] then return true end
    end
    return false
  end,
  -- The participant has given no sign of life until now.
  expired = function(c)
    local score = redis.call('ZSCORE', presence, c[2])
    return not score or tonumber(score) <= tonumber(c[3])
  end,
  -- The node's event was not applied before. Writes, so it stands last among the checks.
  node_event = function(c)
    local seen = redis.call('HGET', meta, 'node:' .. c[2])
    if seen and tonumber(seen) >= tonumber(c[3]) then return false end
    redis.call('HSET', meta, 'node:' .. c[2], c[3])
    return true
  end,
  -- Nothing is known that the node said after this state.
  node_state = function(c)
    local seen = redis.call('HGET', meta, 'node:' .. c[2])
    return not seen or tonumber(seen) <= tonumber(c[3])
  end,
  -- The epoch is not older than the one that was announced.
  epoch = function(c) return tonumber(redis.call('HGET', meta, 'epoch') or '0') <= tonumber(c[2]) end,
  -- Nobody is in the meeting, nor about to come in.
  empty = function()
    drop_reservations(command.time)
    return redis.call('HLEN', participants) == 0 and redis.call('ZCARD', reserved) == 0
  end,
  -- Not more often than allowed (generic cell rate algorithm). Writes, so it stands last among the checks.
  rate = function(c)
    local name, now, gap, burst = key('rate:' .. c[2]), tonumber(c[3]), tonumber(c[4]), tonumber(c[5])
    local due = math.max(tonumber(redis.call('GET', name) or '0'), now)
    if due - now > gap * (burst - 1) then return false end
    redis.call('SET', name, string.format('%.0f', due + gap), 'PX', gap * burst + 1000)
    return true
  end,
}

local session_changed = false
local said = ''
local steps
steps = {
  event = function(s) tell(s[2], s[3]) end,
  -- A participant watches by this stream from here on.
  stream = function(s) append('r', s[2], 's', s[3]) end,
  put = function(s)
    redis.call('HSET', participants, s[2], s[3])
    redis.call('ZREM', reserved, s[2])
    if redis.call('PTTL', meta) >= 0 then keep(nil) end
  end,
  remove = function(s)
    redis.call('HDEL', participants, s[2])
    redis.call('HDEL', people, s[2])
    redis.call('ZREM', presence, s[2])
    redis.call('HDEL', silent, s[2])
    redis.call('ZREM', reserved, s[2])
    drop_sessions(s[2], '')
    if redis.call('HGET', meta, 'dominant') == s[2] then
      redis.call('HSET', meta, 'dominant', '')
      tell('', s[4])
    end
    if redis.call('HLEN', participants) == 0 then
      redis.call('HSET', meta, 'empty_since', command.time)
      keep(s[3])
    end
  end,
  -- A sign of life by signalling at `s[3]`; `s[4]` and `s[5]` are how long the next may take, usually and in silence.
  signalled = function(s)
    local since = silence_of(s[2])
    if since then
      set_silence(s[2], since, tonumber(s[3]), s[4], s[5])
      said = 'silent'
    else
      redis.call('ZADD', presence, string.format('%.0f', tonumber(s[3]) + s[4]), s[2])
    end
  end,
  -- Nothing has come over their connection since `s[3]`.
  silent = function(s)
    local score = redis.call('ZSCORE', presence, s[2])
    if not score then return end
    local _, sign = silence_of(s[2])
    set_silence(s[2], tonumber(s[3]), sign or tonumber(score) - s[4], s[4], s[5])
  end,
  -- Something has.
  heard = function(s)
    local _, sign = silence_of(s[2])
    if not sign then return end
    redis.call('HDEL', silent, s[2])
    redis.call('ZADD', presence, string.format('%.0f', sign + s[3]), s[2])
  end,
  reserve = function(s) redis.call('ZADD', reserved, s[3], s[2]) end,
  unreserve = function(s)
    redis.call('ZREM', reserved, s[2])
    if redis.call('HEXISTS', participants, s[2]) == 0 then redis.call('HDEL', people, s[2]) end
  end,
  person = function(s) redis.call('HSET', people, s[2], s[3]) end,
  session = function(s) redis.call('HSET', sessions, s[2], s[3]) end,
  -- The participant's other sessions are over.
  only_session = function(s) drop_sessions(s[3], s[2]) end,
  drop_session = function(s)
    redis.call('HDEL', sessions, s[2])
    forget_session(s[2])
  end,
  -- What slots carry; `fill` names all there are, and leaves those alone of which the node has told since.
  slots = function(s)
    local name = key('slots:' .. s[2])
    if s[3] == 'fill' then
      for _, mid in ipairs(redis.call('HKEYS', name)) do
        if not s[4][mid] then redis.call('HDEL', name, mid) end
      end
    end
    for mid, value in pairs(s[4]) do
      if s[3] == 'fill' then
        redis.call('HSETNX', name, mid, value)
      elseif redis.call('HGET', name, mid) ~= value then
        redis.call('HSET', name, mid, value)
        session_changed = true
      end
    end
    keep_session(name)
  end,
  -- What slots of one of many sessions carry, of which its participant is told; a session that is gone is passed over.
  slots_if_here = function(s)
    if redis.call('HGET', sessions, s[2]) ~= s[3] then return end
    session_changed = false
    steps.slots({ 'slots', s[2], 'set', s[4] })
    steps.tell_if_current({ 'tell_if_current', s[2], s[3], s[5] })
  end,
  -- Which encodings of a session's tracks are needed: RTP stream ids with commas between, by the track's mid.
  encodings = function(s)
    local name = key('encodings:' .. s[2])
    for mid, rids in pairs(s[3]) do
      if redis.call('HGET', name, mid) ~= rids then
        redis.call('HSET', name, mid, rids)
        session_changed = true
      end
    end
    keep_session(name)
  end,
  -- The tracks that a session has: nothing is needed any more of others that it had.
  tracks = function(s)
    local name = key('encodings:' .. s[2])
    for _, mid in ipairs(redis.call('HKEYS', name)) do
      if not s[3][mid] then redis.call('HDEL', name, mid) end
    end
  end,
  -- Tells a participant what changed in their session, unless nothing did or the session is still to become theirs.
  tell_if_current = function(s)
    if not session_changed then return end
    local document = redis.call('HGET', participants, s[3])
    if document and session_of(document) == s[2] then tell(s[3], s[4]) end
  end,
  dominant = function(s)
    if (redis.call('HGET', meta, 'dominant') or '') ~= s[2] then
      redis.call('HSET', meta, 'dominant', s[2])
      tell('', s[3])
    end
  end,
  -- The meeting's own fields, unless newer ones are known; `s[4]`: only if the meeting is known here; `s[5]`: the event to tell.
  meeting = function(s)
    local revision = redis.call('HGET', meta, 'revision')
    if not revision and s[4] == 'known' then return end
    if revision and tonumber(revision) >= tonumber(s[3]) then return end
    redis.call('HSET', meta, 'meeting', s[2], 'revision', s[3])
    if revision then tell('', s[5]) end
  end,
  -- The room is served under this epoch now; those who are in it have to be told when it was another before.
  media_epoch = function(s)
    local old = redis.call('HGET', meta, 'epoch')
    if old and tonumber(old) >= tonumber(s[2]) then return end
    redis.call('HSET', meta, 'epoch', s[2])
    if old and redis.call('HLEN', participants) > 0 then tell('', s[3]) end
  end,
  -- Joins that have found the room under this epoch or an older one are refused: it is about to be released.
  vacate = function(s)
    local old = redis.call('HGET', meta, 'epoch')
    if s[2] ~= '0' and (not old or tonumber(old) <= tonumber(s[2])) then redis.call('HSET', meta, 'epoch', string.format('%.0f', tonumber(s[2]) + 1)) end
  end,
  ending = function(s) redis.call('HSET', meta, 'ending', s[2]) end,
  -- Forgets sessions of who is not in the meeting nor about to come in, and what was seen of nodes when they have been many.
  tidy = function(s)
    drop_reservations(command.time)
    local all = redis.call('HGETALL', sessions)
    for i = 1, #all, 2 do
      local gone = redis.call('HEXISTS', participants, all[i + 1]) == 0 and not redis.call('ZSCORE', reserved, all[i + 1])
      if gone then
        redis.call('HDEL', sessions, all[i])
        forget_session(all[i])
      end
    end
    local nodes = {}
    for _, name in ipairs(redis.call('HKEYS', meta)) do
      if string.sub(name, 1, 5) == 'node:' then nodes[#nodes + 1] = name end
    end
    if #nodes > tonumber(s[2]) then redis.call('HDEL', meta, unpack(nodes)) end
  end,
  history = function(s)
    redis.call('XADD', key('history'), '*', 'd', s[2], 'l', s[3], 'w', s[4])
    redis.call('PEXPIRE', key('history'), 604800000)
  end,
  -- Everyone is out at once; `s[2]`: time to keep what is left.
  clear = function(s)
    local all = redis.call('HGETALL', participants)
    for i = 1, #all, 2 do
      steps.history({ 'history', all[i + 1], command.time, s[3] })
    end
    for _, session in ipairs(redis.call('HKEYS', sessions)) do forget_session(session) end
    redis.call('DEL', participants, presence, silent, sessions, reserved, people)
    redis.call('HSET', meta, 'ended', command.time, 'dominant', '')
    keep(s[2])
  end,
}

if command.op and command.op ~= '' then
  local done = redis.call('GET', key('op:' .. command.op))
  if done then return answer('done', done) end
end
for _, check in ipairs(command.checks) do
  if not checks[check[1]](check) then return answer(check[1], check[2]) end
end
redis.call('HSETNX', meta, 'generation', command.generation)
for _, s in ipairs(command.steps) do steps[s[1]](s) end
-- What nobody is in has an end, whatever wrote to it last.
if redis.call('HLEN', participants) == 0 then
  local left = redis.call('PTTL', meta)
  keep(left > 0 and left or command.keep_ms)
end
if command.op and command.op ~= '' then
  redis.call('SET', key('op:' .. command.op), command.op_result, 'PX', command.op_ttl_ms)
end
return answer('ok', said)
