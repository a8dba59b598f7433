-- Judges a guess of a secret that many may guess at, such as a meeting's passcode. Comparing is instant, so the caller has compared already:
-- whether the guess may be answered, and the count of a wrong one, are one step. However many come at once, right ones cost nothing, and
-- no more wrong ones are answered than the limits have.
--
-- A bucket is the time at which it will be full again (generic cell rate algorithm): each failure moves it on by a gap.
--
-- KEYS[1]  set while the guesser is known to have given the right answer lately
-- KEYS[2]  set while the guesser is known to have failed lately
-- KEYS[3]  set while the secret's owner has been told of failures lately
-- KEYS[4]  bucket of all first failures; KEYS[5]: of all further failures; a guesser that is known to be right draws on neither
-- KEYS[6...] the guesser's own buckets
-- ARGV     now in ms; 'right', 'wrong' or 'none'; memory in ms; failures after which the owner is told; how often at most, in ms;
--          then gap in ms and burst of each bucket, from KEYS[4] on
-- Returns  { 'right', 'wrong' or 'refused'; guesses left; ms until the next may be answered; failures to tell the owner of, or 0 }

local now, outcome, memory = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

local function bucket(i)
  local at = 6 + 2 * (i - 4)
  local gap, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local due = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
  local left = math.floor(burst - (due - now) / gap)
  return { key = KEYS[i], gap = gap, due = due, left = left, wait = left >= 1 and 0 or due - now - gap * (burst - 1) }
end

local function spend(b)
  b.due = b.due + b.gap
  redis.call('SET', b.key, string.format('%.0f', b.due), 'PX', string.format('%.0f', b.due - now))
end

local drawn, left = {}, math.huge
for i = 6, #KEYS do
  local own = bucket(i)
  drawn[#drawn + 1] = own
  left = math.min(left, own.left)
end
if outcome == 'none' then return { 'wrong', math.max(left, 0), 0, 0 } end

local first, again = bucket(4), bucket(5)
if redis.call('EXISTS', KEYS[1]) == 0 then
  drawn[#drawn + 1] = redis.call('EXISTS', KEYS[2]) == 0 and first or again
end
local wait = 0
for _, b in ipairs(drawn) do wait = math.max(wait, b.wait) end
if wait > 0 then return { 'refused', 0, math.ceil(wait), 0 } end

if outcome == 'right' then
  redis.call('SET', KEYS[1], '1', 'PX', memory)
  redis.call('DEL', KEYS[2])
  return { 'right', left, 0, 0 }
end
for _, b in ipairs(drawn) do spend(b) end
redis.call('SET', KEYS[2], '1', 'PX', memory)
local failures = math.floor((first.due - now) / first.gap + (again.due - now) / again.gap + 0.5)
local tell = failures >= tonumber(ARGV[4]) and redis.call('SET', KEYS[3], '1', 'PX', ARGV[5], 'NX')
return { 'wrong', left - 1, 0, tell and failures or 0 }
