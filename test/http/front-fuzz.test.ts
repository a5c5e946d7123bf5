import t from 'tap'
import { connectRaw, createRandom, parseAnswer, request, startFront } from '../plugins/front.ts'

const statuses = new Set([200, 204, 400, 403, 404, 405, 408, 413, 415, 417, 431])

const methods = ['GET', 'POST', 'PUT', 'LIST', 'HELP', 'LINK', 'PATCH', 'HEAD', 'DELETE', 'TRACE', 'SCAN', 'get', 'OPTIONS', '']
const targets = ['/v1/', '/v1/kv/data/a', '/v1/kv/data/b', '/v1/c', '/v1/d', '/v1/e', '/v1/kv/', '/v1/a/../b', '/v1/%2e', '/v1/a%2fb', '/v1/a?list=true', '/v1/a?list=x', '/v1/a?a=%', '*', 'http://h/v1/a', '/', '', '/v1/a b', '/v1/\u00ff']
const versions = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', '']
const headers = [
  'content-length: 0', 'content-length: -1', 'content-length: 8', 'transfer-encoding: chunked', 'transfer-encoding: x', 'host: b', 'upgrade: h2c', 'x-vault-token: t', 'x-vault-token: t, u',
  'x-vault-wrap-ttl: -5', 'x-vault-namespace: n', 'content-type: application/x-www-form-urlencoded', 'content-type: application/merge-patch+json', 'content-encoding: gzip', 'expect: 100-continue',
  'expect: x', 'x: \0', 'x:', ': x', 'x y: 1', ' folded', 'x-forwarded-for: z', `x: ${'y'.repeat(20_000)}`, 'accept: \u00ff'
]
const bodies = ['', '{"a":1}', '{"a":1', 'null', '[]', 'a=b', '7\r\n{"a":1}\r\n0\r\n\r\n', 'GET /v1/b HTTP/1.1\r\nhost: h\r\n\r\n', 'LIST /v1/b HTTP/1.1\r\nhost: h\r\n\r\n', '\0\u00ff', '['.repeat(500)]

function draw (random: () => number): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)] ?? ''
  const lines = [`${pick(methods)} ${pick(targets)} ${pick(versions)}`.trim(), 'host: h', 'connection: close']
  for (let n = Math.floor(random() * 3); n > 0; n--) lines.push(pick(headers))
  const body = pick(bodies)
  if (random() < 0.6) lines.push(`content-length: ${body.length}`)
  const text = `${lines.join('\r\n')}\r\n\r\n${body}`
  if (random() < 0.8) return text
  const at = Math.floor(random() * text.length)
  return text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + Math.floor(random() * 3))
}

t.test('SEC-312 whatever bytes come, answers have known statuses, nothing runs unasked, and the front lives', async (t) => {
  const random = createRandom(312)
  const limits = { headersTimeoutMs: 120, requestTimeoutMs: 120, timeoutCheckMs: 20 }
  const front = await startFront(t, { limits })
  const counts = new Map<number, number>()

  async function round (): Promise<void> {
    const bytes = draw(random)
    const connection = await connectRaw(front)
    const cut = Math.floor(random() * bytes.length)
    connection.send(Buffer.from(bytes.slice(0, cut), 'latin1'))
    connection.send(Buffer.from(bytes.slice(cut), 'latin1'))
    const text = await Promise.any([connection.closed(), connection.until('Connection: keep-alive')])
    connection.socket.destroy()
    const final = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
    const status = final === '' ? 0 : parseAnswer(final).status
    counts.set(status, (counts.get(status) ?? 0) + 1)
    if (status !== 0 && !statuses.has(status)) t.fail(`${status} for ${JSON.stringify(bytes)}`)
  }

  for (let n = 0; n < 40; n++) await Promise.all(Array.from({ length: 30 }, round))
  t.ok([200, 400, 404, 405, 431].every((status) => counts.has(status)), JSON.stringify([...counts]))
  t.ok(front.seen.every(({ path, refusal }) => refusal !== null || path !== ''), 'what ran had a path')
  t.equal(front.logged.length, 0, 'nothing failed inside')
  t.equal((await request(front, 'GET /v1/a')).status, 200)
  t.comment(JSON.stringify([...counts]))
})
