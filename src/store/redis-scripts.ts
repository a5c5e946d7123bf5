/*
 * The texts that run inside Redis. Fixed text: nothing is ever pasted into them (SEC-358). Every
 * key they touch is in KEYS and has one hash tag (SEC-357). The layout of a record is in
 * redis-record.ts; an index member is the name, NUL, the key without its prefix.
 */

/** Answers of `COMMIT` for a failed condition, by number. */
export const REASONS = ['absent', 'present', 'changed', 'spent'] as const

/**
 * KEYS: index, due, count, then one record for each change. ARGV for each change: a letter and its
 * condition (nothing, `+` present, `-` absent, or 8 bytes of stamp), and for a put also the record
 * and when it is due (nothing: never). Letters: p put, c check, d delete, t take, u use, g give
 * back.
 *
 * Answers {1, record of each take and use…} or {0, position, reason}.
 *
 * Redis does not undo what a script did before it failed, so everything that may be refused for
 * want of memory comes before the deletions, and the first such write decides for all of them:
 * Redis judges its memory once, when the script starts.
 */
export const COMMIT = `
local index, due, count = KEYS[1], KEYS[2], KEYS[3]
local letters, heads, argument, first = {}, {}, {}, 1

for n = 4, #KEYS do
  local letter = string.sub(ARGV[first], 1, 1)
  local expected = string.sub(ARGV[first], 2)
  local head = redis.call('GETRANGE', KEYS[n], 0, 17)
  local reason
  if expected == '-' then
    if head ~= '' then reason = 1 end
  elseif expected ~= '' then
    if head == '' then reason = 0
    elseif expected ~= '+' and expected ~= string.sub(head, 1, 8) then reason = 2 end
  end
  if not reason and letter == 'u' then
    local used, limit = struct.unpack('>I4I4', string.sub(head, 9, 16))
    if limit > 0 and used >= limit then reason = 3 end
  end
  if reason then return {0, n - 4, reason} end
  letters[n], heads[n], argument[n] = letter, head, first
  first = first + (letter == 'p' and 3 or 1)
end

local function names_of(n)
  if heads[n] == '' then return '' end
  local bytes = struct.unpack('>I2', string.sub(heads[n], 17, 18))
  if bytes == 0 then return '' end
  return redis.call('GETRANGE', KEYS[n], 18, 17 + bytes)
end

local function unlist(n, names, kept)
  local key = string.sub(KEYS[n], #due)
  for name in string.gmatch(names, '[^%z]+') do
    if not kept[name] then redis.call('ZREM', index, name .. '\\0' .. key) end
  end
end

local function put(n)
  local record, at = ARGV[argument[n] + 1], ARGV[argument[n] + 2]
  local former = names_of(n)
  if heads[n] ~= '' then
    record = string.sub(record, 1, 8) .. string.sub(heads[n], 9, 12) .. string.sub(record, 13)
  end
  redis.call('SET', KEYS[n], record)
  local names = string.sub(record, 19, 18 + struct.unpack('>I2', string.sub(record, 17, 18)))
  if names ~= former then
    local key, kept = string.sub(KEYS[n], #due), {}
    for name in string.gmatch(names, '[^%z]+') do
      redis.call('ZADD', index, 0, name .. '\\0' .. key)
      kept[name] = true
    end
    unlist(n, former, kept)
  end
  if at ~= '' then redis.call('ZADD', due, at, KEYS[n])
  elseif heads[n] ~= '' then redis.call('ZREM', due, KEYS[n]) end
end

local answer = {1}

for n = 4, #KEYS do
  local letter = letters[n]
  if letter == 'p' then put(n)
  elseif letter == 'u' or letter == 'g' then
    local used = struct.unpack('>I4', string.sub(heads[n], 9, 12))
    used = letter == 'u' and used + 1 or math.max(0, used - 1)
    redis.call('SETRANGE', KEYS[n], 8, struct.pack('>I4', used))
  end
end

for n = 4, #KEYS do
  local letter = letters[n]
  if letter == 'u' or letter == 'g' or letter == 't' then
    answer[#answer + 1] = redis.call('GET', KEYS[n])
  end
  if (letter == 'd' or letter == 't') and heads[n] ~= '' then
    unlist(n, names_of(n), {})
    redis.call('DEL', KEYS[n])
    redis.call('ZREM', due, KEYS[n])
  end
end

redis.pcall('INCR', count)
return answer
`

/**
 * KEYS: due times, then records that were seen to be due. ARGV: now, and when they are due again.
 * Answers each record that still was due, and nothing in the place of one that another broker took.
 */
export const CLAIM = `
local answer = {}
for n = 2, #KEYS do
  local at = redis.call('ZSCORE', KEYS[1], KEYS[n])
  answer[n - 1] = false
  if at and tonumber(at) <= tonumber(ARGV[1]) then
    local record = redis.call('GET', KEYS[n])
    if record then
      redis.call('ZADD', KEYS[1], ARGV[2], KEYS[n])
      answer[n - 1] = record
    else
      redis.call('ZREM', KEYS[1], KEYS[n])
    end
  end
end
return answer
`
