import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { errorsOf, request, sendRaw, startFront } from '../plugins/front.ts'

t.test('an answer carries exactly the headers that clients and browsers need', async (t) => {
  const front = await startFront(t)
  const answer = await request(front, 'GET /v1/aws/creds/deploy')
  t.equal(answer.status, 200)
  t.equal(answer.body, '{"ok":true}')
  t.strictSame([...answer.headers.keys()].sort(), ['cache-control', 'connection', 'content-length', 'content-type', 'date', 'x-content-type-options'])
  t.equal(answer.headers.get('content-type'), 'application/json')
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  const { id, receivedAtMs, remotePort, whenGone, ...rest } = front.last()
  t.type(whenGone, 'function')
  t.match(id, /^[0-9a-f-]{36}$/)
  t.ok(Math.abs(receivedAtMs - Date.now()) < 5000)
  t.ok(remotePort > 0)
  t.strictSame({ ...rest, data: { ...rest.data } }, {
    verb: 'read', head: false, path: 'aws/creds/deploy', clientToken: null, data: {}, bodyText: null, accept: '', ifNoneMatch: '',
    remoteAddress: '127.0.0.1', socketAddress: '127.0.0.1', wrapTtlSeconds: null, refusal: null
  })
})

t.test('every outcome of the broker has its status', async (t) => {
  const answers = new Map<string, [number, string]>([
    ['body', [200, '{"a":1}']], ['accepted-body', [202, '{"a":1}']], ['absent', [404, '{"a":1}']], ['empty', [204, '']], ['accepted', [202, '']],
    ['unchanged', [304, '']]
  ])
  const front = await startFront(t, {
    async answer ({ path }) {
      const headers = { 'X-Latchkey-Session-Dies-At': '2026-01-01T00:00:00Z' }
      if (path === 'empty') return { kind: 'empty' }
      if (path === 'accepted' || path === 'unchanged') return { kind: 'empty', as: path }
      if (path === 'absent') return { kind: 'body', json: '{"a":1}', as: 'absent' }
      return { kind: 'body', json: '{"a":1}', headers, ...(path === 'body' ? {} : { as: 'accepted' }) }
    }
  })
  for (const [path, [status, body]] of answers) {
    const answer = await request(front, `GET /v1/${path}`)
    t.equal(answer.status, status, path)
    t.equal(answer.body, body, path)
    t.equal(answer.headers.get('cache-control'), 'no-store')
    t.equal(answer.headers.has('content-type'), body !== '')
    t.equal(answer.headers.has('x-latchkey-session-dies-at'), path.endsWith('body'))
  }
})

t.test('SEC-302 SEC-303 what is thrown becomes one fixed answer and the process lives', async (t) => {
  const front = await startFront(t, {
    async answer ({ path }) {
      if (path === 'limit') throw new BrokerError('limit_exceeded', 'too many')
      if (path === 'failed') throw new BrokerError('failed', 'public', { cause: new Error('CNRY') })
      if (path === 'unavailable') throw new BrokerError('unavailable', 'Vault is sealed')
      if (path === 'text') throw 'CNRY'
      if (path === 'headers') return { kind: 'body', json: '{}', headers: { 'x-bad': 'CNRY\r\nx: y' } }
      throw Object.assign(new Error('CNRY at /srv/secret'), { code: 'ERR_X', command: { args: ['CNRY'] } })
    }
  })
  for (const [path, status, errors, retryAfter] of [
    ['limit', 429, ['too many'], '1'], ['failed', 500, ['public'], undefined], ['unavailable', 503, ['Vault is sealed'], '1'],
    ['text', 500, ['internal error'], undefined], ['headers', 500, ['internal error'], undefined], ['error', 500, ['internal error'], undefined]
  ] as const) {
    const answer = await request(front, `GET /v1/${path}`)
    t.equal(answer.status, status, path)
    t.strictSame(errorsOf(answer), errors)
    t.equal(answer.headers.get('retry-after'), retryAfter)
    t.equal(answer.headers.get('content-type'), 'application/json')
  }
  t.equal(front.logged.length, 4, 'only a failure of ours is logged: not what the contract words, without a cause')
  t.notMatch(JSON.stringify(front.logged), /CNRY/, 'and no text of it')
  t.match(front.logged.at(-1), { failure: { name: 'Error', code: 'ERR_X', places: [/^at /] } })
})

t.test('SEC-302 a broker that throws at once is answered too', async (t) => {
  const front = await startFront(t, { broker: { handle () { throw new Error('CNRY') } } })
  const answer = await request(front, 'GET /v1/a')
  t.equal(answer.status, 500)
  t.equal(answer.body, '{"errors":["internal error"]}')
})

t.test('SEC-007 SEC-259 a refused target reaches the broker as its refusal, and the answer does not repeat it', async (t) => {
  const front = await startFront(t)
  for (const [target, status, errors] of [
    ['/v1/kv/%zzCNRY', 400, ['malformed path']], ['/v1/kv/../CNRY', 400, ['relative paths not supported']], ['/v1/kv?a=%CNRY', 400, ['malformed query']],
    ['/CNRY', 404, []], ['http://CNRY.example/v1/kv', 400, ['malformed path']], ['*', 400, ['malformed path']], ['//CNRY', 404, []],
    ['/v1/kv%2fCNRY', 400, ['malformed path']], ['/v1/kv#CNRY', 400, ['malformed path']], ['/v1/', 404, []]
  ] as const) {
    const before = front.seen.length
    const answer = await request(front, `GET ${target}`)
    t.equal(answer.status, status, target)
    t.strictSame(errorsOf(answer), errors, target)
    t.notMatch(JSON.stringify([...answer.headers]), /CNRY/)
    t.equal(front.seen.length, before + 1)
    t.match(front.last(), { path: '', clientToken: null })
    t.ok(front.last().refusal)
  }
})

t.test('SEC-009 only list and help take a trailing slash', async (t) => {
  const front = await startFront(t)
  for (const [line, status, errors] of [
    ['GET /v1/kv/data/a/', 400, ['malformed path']], ['DELETE /v1/kv/data/a/', 400, ['malformed path']], ['HEAD /v1/kv/data/a/', 400, null],
    ['POST /v1/kv/data/a/', 400, ['cannot write to a path ending in \'/\'']], ['PUT /v1/kv/a//', 400, ['cannot write to a path ending in \'/\'']],
    ['PATCH /v1/kv/a/', 400, ['cannot write to a path ending in \'/\'']], ['LIST /v1/kv/a/', 200, null], ['GET /v1/kv/a/?list=true', 200, null], ['GET /v1/kv/?help=1', 200, null]
  ] as const) {
    const answer = await request(front, line)
    t.equal(answer.status, status, line)
    if (errors !== null) t.strictSame(errorsOf(answer), errors, line)
  }
})

t.test('SEC-017 only the exact spelling of another route is that route', async (t) => {
  const front = await startFront(t, { prepare: ({ app }) => { app.get('/v1/sys/exact', async () => 'exact') } })
  t.equal((await request(front, 'GET /v1/sys/exact')).body, 'exact')
  t.equal((await request(front, 'GET /v1/sys/exact?x=1')).body, 'exact')
  for (const target of ['/v1/sys/%65xact', '/v1/sys/exact;x=1', '/v1/sys/exact%3fx', '/v1//sys/exact', '/v1/sys/EXACT', 'http://h/v1/sys/exact']) {
    t.not((await request(front, `GET ${target}`)).body, 'exact', target)
  }
  t.equal((await request(front, 'POST /v1/sys/exact')).body, '{"ok":true}', 'another method is the broker\'s')
  t.equal((await sendRaw(front, 'GET /v1/sys/exact\r\n\r\n')).status, 400, 'and it keeps to the rules on HTTP')
})

t.test('SEC-037 the switch list has one meaning each', async (t) => {
  const front = await startFront(t)
  for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
    await request(front, `GET /v1/kv/a?list=${value}&x=y`)
    t.match(front.last(), { verb: 'list', data: { x: 'y' } }, value)
    t.notOk('list' in front.last().data)
  }
  for (const value of ['0', 'f', 'F', 'FALSE', 'false', 'False', '']) {
    await request(front, `GET /v1/kv/a?list=${value}`)
    t.equal(front.last().verb, 'read', value)
  }
  for (const [query, errors] of [['list=banana', []], ['list=tRUE', []], ['list=true&list=false', ['malformed query']], ['list=1&list=1', ['malformed query']], ['scan=x', []], ['list=1&scan=1', []]] as const) {
    const answer = await request(front, `GET /v1/kv/a?${query}`)
    t.equal(answer.status, 400, query)
    t.strictSame(errorsOf(answer), errors, query)
  }
  await request(front, 'GET /v1/kv/a?List=true')
  t.match(front.last(), { verb: 'read', data: { List: 'true' } })
  await request(front, 'DELETE /v1/kv/a?list=true')
  t.match(front.last(), { verb: 'delete', data: { list: 'true' } })
  await request(front, 'GET /v1/kv/a/?scan=true&x=y')
  t.match(front.last(), { verb: 'scan', path: 'kv/a', data: { x: 'y' }, refusal: null })
})

t.test('help is asked for with any method, and the query of a write is no data', async (t) => {
  const front = await startFront(t)
  for (const line of ['GET /v1/kv/a?help=1', 'POST /v1/kv/a?help=1', 'GET /v1/kv/a?help=0', 'HELP /v1/kv/a']) {
    await request(front, line)
    t.equal(front.last().verb, 'help', line)
  }
  await request(front, 'GET /v1/kv/a?help=')
  t.equal(front.last().verb, 'read')
  await request(front, 'POST /v1/kv/a?x=1&list=true', [], '{"y":2}')
  t.match(front.last(), { verb: 'write', data: { y: 2 } })
  t.strictSame(Object.keys(front.last().data), ['y'])
  t.equal((await request(front, 'GET /v1/kv/a?help=1&help=2')).status, 400)
})

t.test('SEC-035 HEAD is a read without a body', async (t) => {
  const front = await startFront(t)
  const answer = await request(front, 'HEAD /v1/kv/data/a')
  t.match({ status: answer.status, body: answer.body, length: answer.headers.get('content-length') }, { status: 200, body: '', length: '11' })
  t.match(front.last(), { verb: 'read', head: true })
})

t.test('SEC-036 no header and no field changes the method', async (t) => {
  const front = await startFront(t)
  await request(front, 'POST /v1/kv/a?_method=DELETE', ['x-http-method-override: DELETE', 'x-method-override: DELETE'], '{"_method":"DELETE"}')
  t.equal(front.last().verb, 'write')
})

t.test('X-Vault-Token names the caller and wins over Authorization', async (t) => {
  const front = await startFront(t)
  for (const [headers, token] of [
    [['X-Vault-Token: tok'], 'tok'], [['authorization: Bearer tok'], 'tok'], [['authorization: Bearer   tok  '], 'tok'],
    [['x-vault-token: tok', 'authorization: Bearer other'], 'tok'], [['x-vault-token:', 'authorization: Bearer tok'], 'tok'],
    [['x-vault-token: tok', 'X-VAULT-TOKEN: tok'], 'tok'], [['authorization: bearer tok'], null], [['authorization: Basic tok'], null],
    [['authorization: Bearer'], null], [['authorization: Bearer '], null], [['authorization: Bearertok'], null], [['authorization: BEARER tok'], null], [['x-vault-token: to k'], 'to k']
  ] as const) {
    await request(front, 'GET /v1/a', headers)
    t.equal(front.last().clientToken, token, headers.join(' | '))
    t.equal(front.last().refusal, null)
  }
})

t.test('SEC-090 SEC-092 two values, lists, long and unprintable tokens are refused; a different Authorization only loses', async (t) => {
  const front = await startFront(t)
  for (const headers of [
    ['x-vault-token: a', 'x-vault-token: b'], ['authorization: Bearer a', 'authorization: Bearer b'], ['x-vault-token: a,b'], ['x-vault-token: a, a'],
    [`x-vault-token: ${'a'.repeat(2049)}`], ['x-vault-token: t\u00fc'], ['authorization: Bearer a,b'], ['x-vault-wrap-ttl: 60', 'x-vault-wrap-ttl: 61'],
    ['x-vault-namespace: root', 'x-vault-namespace: /']
  ]) {
    const answer = await request(front, 'GET /v1/a', headers)
    t.equal(answer.status, 400, headers.join(' | ').slice(0, 60))
    t.equal(front.last().clientToken, null)
  }
  await request(front, 'GET /v1/a', [`x-vault-token: ${'a'.repeat(2048)}`])
  t.equal(front.last().refusal, null)
  t.equal((await request(front, 'GET /v1/a', [`x-vault-token: ${'a'.repeat(20_000)}`])).status, 431)
})

t.test('SEC-091 a token anywhere else is no token', async (t) => {
  const front = await startFront(t)
  for (const [line, headers, body] of [['GET /v1/a?token=CNRY', [], ''], ['GET /v1/a', ['cookie: token=CNRY'], ''], ['POST /v1/a', [], '{"client_token":"CNRY"}'], ['GET /v1/a', ['authorization: Basic CNRY'], '']] as const) {
    await request(front, line, headers, body)
    t.equal(front.last().clientToken, null, line)
  }
})

t.test('the root namespace is accepted and echoed, any other is not found', async (t) => {
  const front = await startFront(t)
  for (const name of ['root', '/', 'root/', '/root']) {
    const answer = await request(front, 'GET /v1/a', [`X-Vault-Namespace: ${name}`])
    t.equal(answer.status, 200, name)
    t.equal(answer.headers.get('x-vault-namespace'), name)
  }
  const empty = await request(front, 'GET /v1/a', ['x-vault-namespace:'])
  t.equal(empty.status, 200)
  t.notOk(empty.headers.has('x-vault-namespace'))
  for (const name of ['team', 'team/a', 'ROOT', 'root/a']) {
    const answer = await request(front, 'GET /v1/../x', [`x-vault-namespace: ${name}`])
    t.equal(answer.status, 404)
    t.strictSame(errorsOf(answer), ['namespace not found'])
    t.equal(answer.headers.get('x-vault-namespace'), name)
  }
  const odd = await request(front, 'GET /v1/a', ['x-vault-namespace: a\u00fc b'])
  t.equal(odd.status, 404)
  t.notOk(odd.headers.has('x-vault-namespace'), 'an unprintable one is not echoed')
})

t.test('X-Vault-Wrap-TTL is a duration, or says why not', async (t) => {
  const front = await startFront(t)
  for (const [text, seconds] of [['60', 60], ['5m', 300], ['90s', 90], ['1d', 86_400], ['9999h', 35_996_400], ['0', null], ['0s', null], ['', null], ['1h30m', 5400]] as const) {
    await request(front, 'GET /v1/a', [`X-Vault-Wrap-TTL: ${text}`])
    t.equal(front.last().wrapTtlSeconds, seconds, text)
  }
  for (const text of ['-5', '-5s', '-1h30m']) {
    t.strictSame(errorsOf(await request(front, 'GET /v1/a', [`x-vault-wrap-ttl: ${text}`])), ['error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative'])
  }
  for (const text of ['banana', '1.5', 'soon', '1d1d', 'CNRY', '1e9', '5 m', '99999999999999999999']) {
    const answer = await request(front, 'GET /v1/a', [`x-vault-wrap-ttl: ${text}`])
    t.equal(answer.status, 400, text)
    t.match(answer.body, /"error parsing X-Vault-Wrap-TTL header: [a-z ]+"/)
  }
})

t.test('SEC-063 SEC-278 SEC-309 headers that others might heed change nothing', async (t) => {
  const front = await startFront(t)
  const answer = await request(front, 'GET /v1/a', [
    'x-forwarded-host: evil.example', 'x-forwarded-proto: https', 'x-forwarded-for: 10.0.0.1', 'forwarded: for=10.0.0.1', 'x-real-ip: 10.0.0.1', 'true-client-ip: 10.0.0.1',
    'x-request-id: CNRY', 'traceparent: 00-CNRY', 'range: bytes=0-1', 'if-none-match: *', 'accept-encoding: br, gzip', `accept: ${'*/*;q=0.1,'.repeat(500)}*/*`, 'accept-version: 2', 'x-vault-request: true'
  ])
  t.equal(answer.status, 200)
  t.equal(answer.body, '{"ok":true}')
  t.equal(front.last().remoteAddress, '127.0.0.1')
  t.not(front.last().id, 'CNRY')
  t.notOk(answer.headers.has('content-encoding') || answer.headers.has('etag'))
})

t.test('SEC-061 SEC-062 behind a trusted proxy the right-most untrusted hop is the client', async (t) => {
  const front = await startFront(t, { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] })
  for (const [headers, address] of [
    [[], '127.0.0.1'], [['X-Forwarded-For: 1.2.3.4'], '1.2.3.4'], [['x-forwarded-for: 9.9.9.9, 1.2.3.4'], '1.2.3.4'],
    [['x-forwarded-for: 9.9.9.9', 'x-forwarded-for: 1.2.3.4, 10.1.1.1'], '1.2.3.4'], [['x-forwarded-for: garbage, 1.2.3.4'], '1.2.3.4'],
    [['x-forwarded-for: [2001:db8::1]:443'], '2001:db8::1'], [['x-forwarded-for: ::ffff:1.2.3.4'], '1.2.3.4'], [['x-forwarded-for: 1.2.3.4:5'], '1.2.3.4'], [['x-forwarded-for: 10.1.1.1'], '10.1.1.1']
  ] as const) {
    await request(front, 'GET /v1/a', headers)
    t.match(front.last(), { remoteAddress: address, socketAddress: '127.0.0.1', refusal: null }, headers.join(' | '))
  }
  for (const text of ['garbage', '1.2.3.4, ', 'fe80::1%eth0', '1.2.3', '0x7f.1', '1.2.3.4:x', '[1.2.3.4', 'unknown', '1.2.3.4 5.6.7.8']) {
    t.equal((await request(front, 'GET /v1/a', [`x-forwarded-for: ${text}`])).status, 400, text)
  }
})
