import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { isPathSegment, parseQuery, parseTarget, withoutSlashes, type Target } from '../../src/core/path.ts'
import { createRandom, leastMs } from '../plugins/front.ts'

function pathOf (target: string): string {
  const parsed = parseTarget(target)
  if (parsed instanceof BrokerError) throw parsed
  return parsed.path
}

function refusal (target: string): string {
  const parsed = parseTarget(target)
  if (!(parsed instanceof BrokerError)) return `taken as ${JSON.stringify(parsed)}`
  return `${parsed.code} ${parsed.message}`.trim()
}

const malformed = 'invalid_request malformed path'
const relative = 'invalid_request relative paths not supported'

t.test('a plain target is its path below /v1/', async (t) => {
  t.equal(pathOf('/v1/aws/creds/ec2-only'), 'aws/creds/ec2-only')
  t.equal(pathOf('/v1/sys'), 'sys')
  t.equal(pathOf('/v1/secret/http:/test.com'), 'secret/http:/test.com', 'a raw colon is a character')
  t.equal(pathOf('/v1/a/.hidden/...'), 'a/.hidden/...', 'dots that are not relative are names')
  t.match(parseTarget('/v1/a/b'), { path: 'a/b', trailingSlash: false, query: {} })
  t.match(parseTarget('/v1/a/b/'), { path: 'a/b', trailingSlash: true })
  t.match(parseTarget('/v1/a/b//?x=1'), { path: 'a/b', trailingSlash: true, query: { x: '1' } })
})

t.test('what is not below /v1/ is not there', async (t) => {
  for (const target of ['/', '/v1', '/v1/', '/v1//', '/v2/a', '/V1/a', '/v1x/a', '/kv/v1/a']) t.equal(refusal(target), 'not_found', target)
})

t.test('SEC-001 empty segments are dropped once; an encoded slash is never one', async (t) => {
  for (const target of ['/v1/kv//data/a', '//v1/kv/data/a', '/v1///kv/data//a', '/v1//kv/./data/a'.replace('./', '')]) t.equal(pathOf(target), 'kv/data/a', target)
  for (const target of ['/v1/kv/%2fdata/a', '/v1/kv%2f/data/a', '/v1/%2F/kv', '/v1/kv/data/a%2f']) t.equal(refusal(target), malformed, target)
})

t.test('SEC-002 SEC-003 relative segments are refused in every spelling', async (t) => {
  for (const dots of ['.', '..', '%2e', '%2E', '%2e%2e', '%2E%2e', '.%2e', '%2E.']) {
    t.equal(refusal(`/v1/kv/data/x/${dots}/a`), relative, dots)
    t.equal(refusal(`/v1/${dots}/sys/raw/x`), relative, dots)
    t.equal(refusal(`/v1/kv/${dots}`), relative, dots)
  }
})

t.test('SEC-004 SEC-339 an encoded slash is neither a separator nor data', async (t) => {
  for (const target of ['/v1/kv/data/x%2f..%2fa', '/v1/kv%2Fdata%2Fa', '/v1/a%2fb', '/v1/sys/raw%2f..']) t.equal(refusal(target), malformed, target)
})

t.test('SEC-005 after one decoding no escape remains, while a lone percent sign is a name that clients use', async (t) => {
  for (const part of ['%252e%252e%252f', '%25%32%65', '%252e', '%25%35%35', 'a%2541', '%25ff', '%25FF']) t.equal(refusal(`/v1/kv/${part}`), malformed, part)
  t.equal(pathOf('/v1/secret/50%25'), 'secret/50%')
  t.equal(pathOf('/v1/secret/%25zz'), 'secret/%zz')
})

t.test('oddities that unmodified clients send are decoded once', async (t) => {
  t.equal(pathOf('/v1/cubbyhole/kit%2Done'), 'cubbyhole/kit-one')
  t.equal(pathOf('/v1/cubbyhole/kit%20two'), 'cubbyhole/kit two')
  t.equal(pathOf('/v1/s/q%3Fx/h%23y/%C3%BC'), 's/q?x/h#y/ü')
  t.equal(pathOf('/v1/sys/policy/%5B%27testpolicy%27%5D'), 'sys/policy/[\'testpolicy\']')
  t.equal(pathOf('/v1/kv/data/%D0%BA%D0%BB%D1%8E%D1%87-%E6%97%A5%E6%9C%AC'), 'kv/data/ключ-日本')
})

t.test('SEC-006 control characters are refused', async (t) => {
  for (const part of ['a%00b', 'a%0ab', 'a%0d', 'a%7f', 'a%c2%85', '%1b%5b31m']) t.equal(refusal(`/v1/kv/${part}`), malformed, part)
})

t.test('SEC-007 what is not UTF-8 is refused and not repeated', async (t) => {
  for (const part of ['%C0%AF', '%zz', '%', '%e2%82', '%ED%A0%80', '%F5%80%80%80', 'a%e2', '%FF', '%80']) t.equal(refusal(`/v1/kv/${part}`), malformed, part)
})

t.test('SEC-008 white space at the ends and what nobody sees are refused', async (t) => {
  for (const part of ['a%20', '%20a', 'a%09', '%20', 'a%E2%80%8B', 'a%E2%80%8Bb', '%EF%BB%BFa', 'a%C2%A0b', 'a%C2%ADb', 'a%E3%80%80b', 'a%E2%80%A8b', 'a%E2%80%AEb', '%EE%80%80', '%EF%BF%BE', '%EF%BF%BD']) {
    t.equal(refusal(`/v1/kv/${part}`), malformed, part)
  }
})

t.test('SEC-014 SEC-016 only Unicode normal form C is taken, and nothing is folded', async (t) => {
  t.equal(pathOf('/v1/kv/%C3%A9'), 'kv/é')
  t.equal(refusal('/v1/kv/e%CC%81'), malformed, 'the decomposed form')
  t.equal(pathOf('/v1/kv/%EF%BD%81'), 'kv/ａ', 'a full-width letter is itself')
  t.equal(pathOf('/v1/kv/%41'), 'kv/A')
})

t.test('SEC-017 a suffix makes another path, never the same', async (t) => {
  t.equal(pathOf('/v1/sys/health;x=1'), 'sys/health;x=1')
  t.equal(pathOf('/v1/sys/health%3fx'), 'sys/health?x')
})

t.test('SEC-018 other forms of a target are refused', async (t) => {
  for (const target of ['http://other.example/v1/kv/data/a', '*', 'other.example:443', 'v1/kv', '', '/v1/kv#a', '/v1/kv?a#b', '/v1/kv\\a', '/v1/kv%5ca', '/v1/k v', '/v1/k\tv', '/v1/\u00fc', '/v1/kv?a=\u00fc', '/v1/kv?a=\\']) {
    t.match(refusal(target), /^invalid_request malformed (?:path|query)$/, JSON.stringify(target))
  }
})

t.test('SEC-295 a query is plain texts in a map without prototype', async (t) => {
  const parsed = parseTarget('/v1/kv?a[b]=1&c=1&c=2&c=3&__proto__=1&toString=2&d=x+y%2Bz&e&=f&&g=h=i')
  if (parsed instanceof BrokerError) throw parsed
  t.equal(Object.getPrototypeOf(parsed.query), null)
  t.strictSame(Object.entries(parsed.query), [['a[b]', '1'], ['c', ['1', '2', '3']], ['__proto__', '1'], ['toString', '2'], ['d', 'x y+z'], ['e', ''], ['', 'f'], ['g', 'h=i']])
  t.equal(({} as Record<string, unknown>)['1'], undefined)
})

t.test('SEC-295 a query is bounded and refused as a whole when it does not decode', async (t) => {
  const many = (count: number) => '/v1/kv?' + Array.from({ length: count }, (_, i) => `k${i}=1`).join('&')
  t.equal(refusal(many(65)), 'invalid_request malformed query')
  t.equal(refusal(many(10_000)), 'invalid_request malformed query')
  const most = parseTarget(many(64)) as Target
  t.equal(Object.keys(most.query).length, 64)
  for (const query of ['a=%', 'a=%zz', '%C0=1', 'a=%ED%A0%80', 'a= b', 'a=\u0000']) t.equal(refusal(`/v1/kv?${query}`), 'invalid_request malformed query', query)
})

t.test('a path is bounded', async (t) => {
  t.equal(pathOf(`/v1/${'a'.repeat(2048)}`).length, 2048)
  t.equal(refusal(`/v1/${'a'.repeat(2049)}`), malformed)
  t.equal(refusal(`/v1/${'%41'.repeat(2049)}`), malformed)
})

t.test('SEC-300 hostile targets of 8 KB cost well under 5 ms', async (t) => {
  const hostile = ['%25', '%', '/', '//', '%2e/', 'a/../', '%E2%80%8B', '?', '&', '?a=', '+', '=&', '.', './', '%20', ';', 'a%20', '%C3', '%F0%9F%98%80']
  for (const piece of hostile) {
    const target = '/v1/' + piece.repeat(Math.floor(8192 / piece.length))
    t.ok(leastMs(() => parseTarget(target)) < 5, JSON.stringify(piece))
  }
})

t.test('SEC-042 whatever the target, what is taken has clean segments that read back as themselves', async (t) => {
  const random = createRandom(42)
  const pieces = ['a', 'B', '/', '//', '.', '..', '%2e', '%2f', '%25', '%20', ' ', '%C3%A9', '%CC%81', 'e', '%00', '%E2%80%8B', ';', '?', '&', '=', '#', '\\', 'v1', '%76', '%ED%A0%80', '~', '\u00e9', '%5c', '+']
  let taken = 0
  for (let round = 0; round < 20_000; round++) {
    let target = random() < 0.9 ? '/v1/' : ''
    for (let n = Math.floor(random() * 12); n > 0; n--) target += pieces[Math.floor(random() * pieces.length)]
    const parsed = parseTarget(target)
    if (parsed instanceof BrokerError) {
      if (parsed.code !== 'invalid_request' && parsed.code !== 'not_found') t.fail(target)
      continue
    }
    taken++
    if (!parsed.path.split('/').every(isPathSegment)) t.fail(`a segment of ${JSON.stringify(target)} is not clean`)
    const spelled = '/v1/' + parsed.path.split('/').map(encodeURIComponent).join('/')
    if (pathOf(spelled) !== parsed.path) t.fail(`${JSON.stringify(target)} has two paths`)
  }
  t.ok(taken > 1000, `${taken} targets were taken`)
})

t.test('a form has more room than a query', async (t) => {
  t.ok(parseQuery(Array.from({ length: 1001 }, () => 'a=1').join('&'), 1000) instanceof BrokerError)
  t.same({ ...parseQuery('a=1&a=2', 1000) as object }, { a: ['1', '2'] })
})

t.test('SEC-301 slashes at the ends of a path are taken off in proportional time', async (t) => {
  for (const given of ['', '/', '///']) t.equal(withoutSlashes(given), '', given)
  for (const given of ['a//b', '//a//b//', 'a//b/', '/a//b']) t.equal(withoutSlashes(given), 'a//b', given)
  const hostile = `a${'/'.repeat(1_000_000)}b`
  t.ok(leastMs(() => withoutSlashes(hostile)) < 1000)
})
