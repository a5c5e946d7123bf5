import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { connectRaw, errorsOf, parseAnswer, request, sendRaw, startFront, type Front } from '../plugins/front.ts'

async function dataOf (front: Front, headers: readonly string[], body: string | Buffer, line = 'POST /v1/a'): Promise<unknown> {
  const answer = await request(front, line, headers, body)
  return answer.status === 200 ? { ...front.last().data } : [answer.status, ...errorsOf(answer) as unknown[]]
}

t.test('SEC-065 SEC-293 a JSON object is read the same way under every label', async (t) => {
  const front = await startFront(t)
  const labels = [
    [], ['content-type: application/json'], ['content-type: APPLICATION/JSON'], ['content-type: application/json; charset=utf-16'], ['content-type: application/json\t;x'],
    ['content-type: text/plain;charset=UTF-8'], ['content-type: application/x-www-form-urlencoded'], ['content-type: application/x-www-form-urlencoded; charset=x'],
    ['content-type:   application/json'], ['content-type: application/json\u00a0'], ['content-type: application/vnd+json'], ['content-type: multipart/form-data; boundary=x'],
    ['content-type: application/json', 'content-type: application/x-www-form-urlencoded'], ['content-type: x'], ['content-type: '], ['content-type: ;;;'], ['content-type: __proto__']
  ]
  for (const label of labels) {
    t.strictSame(await dataOf(front, label, '  {"paths":["a"],"n":1}'), { paths: ['a'], n: 1 }, label.join())
    t.equal(front.last().bodyText, '  {"paths":["a"],"n":1}')
    t.strictSame(await dataOf(front, label, '["a"]'), [400, 'failed to decode JSON input: expected an object'], label.join())
    t.strictSame(await dataOf(front, label, '{"a":1,"a":2}'), [400, 'failed to decode JSON input: a name is given twice'], label.join())
  }
})

t.test('only what is labelled a form and does not look like JSON is a form', async (t) => {
  const front = await startFront(t)
  const form = ['content-type: application/x-www-form-urlencoded']
  t.strictSame(await dataOf(front, form, 'paths=auth/token/lookup-self&paths=sys%2Fmounts&a=x+y&__proto__=z'), { paths: 'auth/token/lookup-self,sys/mounts', a: 'x y', ['__proto__']: 'z' })
  t.equal(front.last().bodyText, null)
  t.strictSame(await dataOf(front, ['content-type: Application/X-WWW-Form-URLEncoded ; a=b'], 'a=1'), { a: '1' })
  for (const body of ['a=%', 'a=%ff', 'a=\u00fc', 'a=\0']) t.strictSame(await dataOf(front, form, body), [400, 'failed to decode form input: malformed form'], body)
  for (const label of [[], ['content-type: application/json'], ['content-type: text/plain'], [...form, 'content-type: application/json'], [...form, ...form]]) {
    t.strictSame(await dataOf(front, label, 'a=1'), [400, 'failed to decode JSON input: malformed JSON'], label.join())
  }
})

t.test('SEC-296 empty bodies and null are no data', async (t) => {
  const front = await startFront(t)
  for (const label of [[], ['content-type: application/json'], ['content-type: application/x-www-form-urlencoded']]) {
    t.strictSame(await dataOf(front, [...label, 'content-length: 0'], ''), {})
    t.strictSame(await dataOf(front, label, ''), {})
  }
  for (const label of [[], ['content-type: application/json']]) {
    t.strictSame(await dataOf(front, label, 'null'), {})
    t.equal(front.last().bodyText, null)
    t.strictSame(await dataOf(front, label, ' null\n'), {})
  }
})

t.test('SEC-296 the body of a method without one is ignored, and the connection goes on', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  let count = 0
  for (const method of ['GET', 'DELETE', 'LIST', 'GET']) {
    connection.send(`${method} /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n{"a":1}`)
    await connection.until('"ok":true', ++count)
    t.strictSame({ ...front.last().data }, {}, method)
  }
  connection.socket.destroy()
  const big = await connectRaw(front)
  big.send(`GET /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 100000000\r\n\r\n`)
  t.match(await big.closed(), /connection: close[^]*"ok":true/i, 'one that is too large to skip ends the connection')
})

t.test('SEC-292 a content coding is refused and nothing is decompressed', async (t) => {
  const front = await startFront(t)
  for (const coding of ['gzip', 'br', 'deflate', 'zstd', 'GZIP', 'identity', 'x, gzip']) {
    t.strictSame(await dataOf(front, [`content-encoding: ${coding}`], '{"a":1}'), [415, 'content encodings are not supported'], coding)
  }
})

t.test('PATCH takes a merge patch and nothing else', async (t) => {
  const front = await startFront(t)
  const patch = (headers: readonly string[]) => dataOf(front, headers, '{"a":null}', 'PATCH /v1/kv/data/a')
  t.strictSame(await patch(['content-type: application/merge-patch+json']), { a: null })
  t.strictSame(await patch(['content-type: application/merge-patch+json; charset=utf-8']), { a: null })
  t.strictSame(await patch(['content-type: application/json']), [415, 'PATCH requires Content-Type of application/merge-patch+json, provided application/json'])
  t.strictSame(await patch([]), [400, 'mime: no media type'])
  for (const type of ['x', 'a/b/c', '<script>/x', 'a b/c', `a/${'b'.repeat(300)}`]) t.strictSame(await patch([`content-type: ${type}`]), [400, 'mime: invalid media type'], type)
})

t.test('SEC-285 a body above its limit is 413, whether announced, grown or lied about', async (t) => {
  const limits = { bodyBytesMaxPublic: 1000, bodyBytesMax: 5000 }
  const front = await startFront(t, { limits, isOurs: (token) => token === 'ours' })
  const body = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`
  const ours = ['x-vault-token: ours']
  const tooLarge = [413, 'http: request body too large']
  const taken = (bytes: number) => ({ a: 'x'.repeat(bytes - 8) })
  t.strictSame(await dataOf(front, [], body(1000)), taken(1000))
  t.strictSame(await dataOf(front, [], body(1001)), tooLarge, 'nobody')
  t.strictSame(await dataOf(front, ['x-vault-token: other'], body(1001)), tooLarge, 'a token that is not ours')
  t.strictSame(await dataOf(front, ours, body(1001)), taken(1001))
  t.strictSame(await dataOf(front, ours, body(5000)), taken(5000))
  t.strictSame(await dataOf(front, ours, body(5001)), tooLarge)
  t.strictSame(await dataOf(front, ours, body(1001), 'POST /v1/auth/approle/login'), tooLarge, 'a login, whoever')
  t.match(front.last(), { path: 'auth/approle/login', refusal: { code: 'too_large' } }, 'the refusal is audited with its path')

  const chunked = (bytes: number) => `POST /v1/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n${bytes.toString(16)}\r\n${body(bytes)}\r\n0\r\n\r\n`
  const grown = await sendRaw(front, chunked(1001))
  t.equal(grown.status, 413)
  t.equal(grown.headers.get('connection'), 'close')
  t.equal((await sendRaw(front, chunked(1000).replace('host: h', 'host: h\r\nconnection: close'))).status, 200)
  const endless = await connectRaw(front)
  endless.send('POST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 999999999999\r\n\r\n{"a":"')
  await endless.until('request body too large')
  endless.socket.end()
  await endless.closed()
})

t.test('a client that sends all of a huge body still gets the answer', async (t) => {
  const front = await startFront(t)
  const answer = await request(front, 'PUT /v1/sys/capabilities-self', ['x-vault-token: t'], Buffer.alloc(33_554_441, 'x'))
  t.equal(answer.status, 413)
  t.strictSame(errorsOf(answer), ['http: request body too large'])
  t.equal(answer.headers.get('connection'), 'close')
})

t.test('SEC-286 a complex body is refused with a text that says so', async (t) => {
  const front = await startFront(t)
  t.strictSame(await dataOf(front, [], '{"a":'.repeat(65) + '1' + '}'.repeat(65)), [400, 'refused JSON input due to high complexity: too many levels'])
  t.strictSame(await dataOf(front, [], '['.repeat(60_000)), [400, 'refused JSON input due to high complexity: too many levels'])
})

t.test('SEC-068 what admission refuses is refused before its body is read', async (t) => {
  const front = await startFront(t, { admit: ({ path }) => path === 'auth/approle/login' ? new BrokerError('limit_exceeded', 'slow down') : null })
  const connection = await connectRaw(front)
  connection.send('POST /v1/auth/approle/login HTTP/1.1\r\nhost: h\r\ncontent-length: 60000\r\n\r\n[[[[')
  t.equal(parseAnswer(await connection.until('slow down')).status, 429)
  t.match(front.last(), { path: 'auth/approle/login', bodyText: null, refusal: { code: 'limit_exceeded' } })
  connection.socket.destroy()
  t.equal((await request(front, 'GET /v1/auth/approle/login')).status, 429, 'methods without a body too')
})

t.test('SEC-307 a client that goes away in the middle of its body reaches nobody', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  await connection.deliver('POST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n{"a":1}')
  connection.socket.destroy()
  t.equal((await request(front, 'GET /v1/b')).status, 200)
  t.strictSame(front.seen.map(({ path }) => path), ['b'])
})

t.test('SEC-307 a client that goes away before its answer leaves the operation to end as a whole', async (t) => {
  let ended = false
  const { promise: go, resolve: letGo } = Promise.withResolvers<undefined>()
  const front = await startFront(t, {
    async answer () {
      await go
      ended = true
      return { kind: 'body', json: '{}' }
    }
  })
  const connection = await connectRaw(front)
  await connection.deliver('POST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n{"a":1}')
  connection.socket.destroy()
  letGo(undefined)
  await request(front, 'GET /v1/b')
  t.ok(ended)
})

t.test('SEC-039 SEC-294 fields that look like control, or like prototypes, are data', async (t) => {
  const front = await startFront(t)
  const text = '{"operation":"delete","path":"x","verb":"list","refusal":null,"id":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
  await request(front, 'POST /v1/a', [], text)
  t.match(front.last(), { verb: 'write', path: 'a', refusal: null })
  t.equal(JSON.stringify(front.last().data), text)
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
})
