import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import { auditFaults, startBroker, type TestBroker } from '../helpers/broker.ts'

const malformed = [400, '{"errors":["malformed path"]}'] as const
const denied = [403, '{"errors":["permission denied"]}'] as const

/** The status and body of one request whose target is sent as it is; `*` and absolute forms included. */
async function raw (broker: TestBroker, line: string): Promise<readonly [number, string]> {
  const socket = net.connect(broker.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => { text += chunk.toString('latin1') })
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  socket.write(Buffer.from([`${line} HTTP/1.1`, 'host: h', 'connection: close', '', ''].join('\r\n'), 'latin1'))
  await ended
  return [Number(text.split(' ')[1]), text.slice(text.indexOf('\r\n\r\n') + 4)]
}

t.test('one reading of a path for routing, policy, audit and storage', async (t) => {
  const broker = await startBroker(t)
  const { client_token: token } = await broker.tokenFor(`
    path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
    path "cubbyhole/data/a" { capabilities = ["deny"] }
  `, { no_default_policy: true })
  const get = async (target: string) => {
    const answer = await broker.ask('GET', target, { token })
    return [answer.status, answer.text] as const
  }
  const expectAll = async (t: Test, targets: readonly string[], expected: readonly [number, string]) => {
    for (const target of targets) t.strictSame(await get(target), expected, target)
  }
  await broker.must('PUT', 'cubbyhole/data/x', { token, body: { here: 'yes' } })

  t.test('the set-up: what is allowed is served, what is denied is not', async (t) => {
    t.equal((await get('cubbyhole/data/x'))[0], 200)
    t.strictSame(await get('cubbyhole/data/a'), denied)
  })

  t.test('SEC-001 an empty segment is dropped before anything looks: the deny holds, and nobody is redirected', async (t) => {
    await expectAll(t, ['cubbyhole//data/a', '/cubbyhole/data//a', 'cubbyhole/data///a'], denied)
    t.equal((await get('cubbyhole//data//x'))[0], 200)
    await expectAll(t, ['cubbyhole%2f/data/a', 'cubbyhole/%2fdata/a', 'cubbyhole/data%2f%2fa'], malformed)
  })

  t.test('SEC-002 SEC-003 relative segments are refused in every spelling', async (t) => {
    for (const segment of ['..', '.', '%2e%2e', '%2E%2e', '.%2e', '%2e']) {
      const [status, body] = await get(`cubbyhole/data/x/${segment}/a`)
      t.equal(status, 400, segment)
      t.notMatch(body, /data/, 'the path is not repeated')
    }
  })

  t.test('SEC-004 SEC-005 an encoded slash, and what is encoded twice, is never a separator', async (t) => {
    await expectAll(t, [
      'cubbyhole/data/x%2f..%2fa', 'cubbyhole%2Fdata%2Fa', 'cubbyhole/data%2fa', 'cubbyhole/data/x/%252e%252e%252fa', 'cubbyhole/data/%2561'
    ], malformed)
  })

  t.test('SEC-006 SEC-007 SEC-008 control characters, broken UTF-8 and invisible characters are refused, and not repeated', async (t) => {
    const segments = [
      'a%00b', 'a%0ab', 'a%7f', 'a%c2%85', '%C0%AF', '%e2%82', 'a%20', '%20a', 'a%09', 'a%E2%80%8B'
    ]
    await expectAll(t, segments.map((segment) => `cubbyhole/data/${segment}`), malformed)
  })

  t.test('SEC-009 only a list takes a trailing slash, so none gets around an exact deny', async (t) => {
    for (const method of ['GET', 'DELETE', 'PUT', 'PATCH']) {
      for (const slash of ['/', '//', '%2f']) {
        const answer = await broker.ask(method, `cubbyhole/data/a${slash}`, {
          token, headers: method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {}
        })
        t.equal(answer.status, 400, `${method} a${slash}`)
      }
    }
  })

  t.test('SEC-012 a deny holds in another case', async (t) => {
    await expectAll(t, ['cubbyhole/data/A', 'cubbyhole/DATA/a', 'cubbyhole/Data/A'], denied)
    t.equal((await get('Cubbyhole/data/x'))[0], 403, 'an allow does not')
  })

  t.test('SEC-016 only one normal form of a letter is a name', async (t) => {
    await broker.must('PUT', 'cubbyhole/data/%C3%A9', { token, body: { form: 'composed' } })
    t.equal((await get('cubbyhole/data/%C3%A9'))[0], 200)
    await expectAll(t, ['cubbyhole/data/e%CC%81'], malformed)
    t.equal((await get('cubbyhole/data/%EF%BD%81'))[0], 404, 'a full-width letter is another name')
  })

  t.test('SEC-017 what is open is a route, not a text: any other spelling is denied or malformed', async (t) => {
    for (const target of ['/v1/sys/health;x=1', '/v1/sys/health%3fx', '/v1/sys/health/', '/v1/sys/%68ealth', '/v1/sys//health',
      '/v1/sys/seal-status;', '/v1/sys/init/', '/v1/auth/approle/login;x', '/v1/sys/wrapping/lookup%20', '/v2/sys/health', '/sys/health']) {
      const [status, body] = await raw(broker, `GET ${target}`)
      t.ok([400, 403, 404].includes(status), `${target} is ${status}`)
      t.notMatch(body, /initialized/, target)
    }
  })

  t.test('SEC-018 other forms of a target are refused', async (t) => {
    for (const line of ['GET http://other.example/v1/sys/health', 'GET *', 'GET v1/sys/health', 'GET /v1/sys/health#x', 'GET /v1\\sys\\health']) {
      const [status, body] = await raw(broker, line)
      t.ok([400, 404].includes(status), `${line} is ${status}`)
      t.notMatch(body, /initialized/, line)
    }
  })

  t.test('SEC-027 a mount\'s name ends at a segment', async (t) => {
    const all = await broker.tokenFor('path "*" { capabilities = ["read"] }')
    for (const target of ['awsx/roles/a', 'aw/roles/a', 'cubbyholes/data/x', 'auth/approlex/role', 'sysx/mounts']) {
      const answer = await broker.ask('GET', target, { token: all.client_token })
      t.equal(answer.status, 404, target)
      t.match(answer.body.errors, [/^no handler for route/])
    }
  })

  t.test('SEC-031 SEC-252 without rights, a mount that exists answers as one that does not', async (t) => {
    const { client_token: stranger } = await broker.tokenFor('path "cubbyhole/own" { capabilities = ["read"] }')
    const shown = async (method: string, target: string) => {
      const { status, text, headers } = await broker.ask(method, target, { token: stranger })
      return { status, text, headers: Object.keys(headers).sort() }
    }
    for (const method of ['GET', 'LIST', 'PUT', 'DELETE', 'PATCH']) {
      const there = await shown(method, 'aws/roles/ec2-only')
      t.strictSame(there, await shown(method, 'qzx/roles/ec2-only'), method)
      t.equal(there.status, method === 'PATCH' ? 400 : 403, method)
    }
    for (const path of ['aws/roles', 'qzx/roles']) {
      const preflight = await broker.ask('GET', `sys/internal/ui/mounts/${path}`, { token: stranger })
      t.equal(preflight.status, 403)
      t.equal(preflight.text.replaceAll(path, '…'), '{"errors":["preflight capability check returned 403, please ensure client\'s policies grant access to path \\"…/\\""]}')
      const rights = await broker.must('POST', 'sys/capabilities-self', { token: stranger, body: { paths: [path] } })
      t.strictSame(rights.body.data?.[path], ['deny'])
    }
    const help = await Promise.all(['aws/roles', 'qzx/roles'].map((path) => broker.ask('GET', `${path}?help=1`, { token: stranger })))
    t.strictSame(help.map(({ status, text }) => [status, text.replace(/aws|qzx/, '…')]).map(String).filter((text, i, all) => all.indexOf(text) === i).length, 1)
  })

  t.test('SEC-035 SEC-036 SEC-241 methods are what the line says, none but ours is served, and nothing redirects', async (t) => {
    const head = await broker.ask('HEAD', 'cubbyhole/data/a', { token })
    t.strictSame([head.status, head.text], [403, ''], 'HEAD is judged as GET')
    t.equal((await broker.ask('HEAD', 'cubbyhole/data/x', { token })).status, 200)
    for (const method of ['OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'SEARCH', 'PURGE']) {
      const answer = await broker.ask(method, 'cubbyhole/data/x', { token, headers: { 'x-echo': 'CNRYecho' } })
      t.ok([400, 405].includes(answer.status), `${method} is ${answer.status}`)
      t.notMatch(answer.text, /CNRYecho/)
    }
    const { client_token: reader } = await broker.tokenFor('path "cubbyhole/data/*" { capabilities = ["read"] }', { no_default_policy: true })
    const disguised = await broker.ask('POST', 'cubbyhole/data/x?_method=DELETE', {
      token: reader, headers: { 'x-http-method-override': 'GET' }, body: { _method: 'GET' }
    })
    t.equal(disguised.status, 403)
  })

  t.test('SEC-037 reading and listing are two rights, whatever the spelling of the switch', async (t) => {
    const { client_token: reader } = await broker.tokenFor('path "sys/policies/acl" { capabilities = ["read"] }\npath "sys/policies/acl/*" { capabilities = ["read"] }', { no_default_policy: true })
    const { client_token: lister } = await broker.tokenFor('path "sys/policies/acl" { capabilities = ["list"] }\npath "sys/policies/acl/*" { capabilities = ["list"] }', { no_default_policy: true })
    for (const word of ['true', 'TRUE', 'True', '1', 't', 'T']) {
      const target = `sys/policies/acl?list=${word}`
      t.equal((await broker.ask('GET', target, { token: reader })).status, 403, word)
      t.equal((await broker.ask('GET', target, { token: lister })).status, 200, word)
    }
    t.equal((await broker.ask('GET', 'sys/policies/acl/default?list=false', { token: reader })).status, 200)
    t.equal((await broker.ask('GET', 'sys/policies/acl/default?List=true', { token: lister })).status, 403)
    for (const query of ['list=true&list=false', 'list=yes', 'list=true&scan=true']) {
      t.equal((await broker.ask('GET', `sys/policies/acl?${query}`, { token: lister })).status, 400, query)
    }
  })

  t.test('SEC-039 SEC-294 fields of a body that look like control, or like prototypes, control nothing', async (t) => {
    const body = '{"operation":"delete","path":"cubbyhole/data/x","client_token":"other","__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"wrap_info":{"ttl":60}}'
    t.equal((await broker.ask('PUT', 'cubbyhole/data/y', { token, body })).status, 204)
    const back = await broker.must('GET', 'cubbyhole/data/y', { token })
    t.match(back.text, /"__proto__":\{"admin":true\}/, 'they are data')
    t.equal(back.body.wrap_info, null)
    t.equal((await get('cubbyhole/data/x'))[0], 200)
    t.equal((await get('cubbyhole/data/a'))[0], 403)
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      t.equal((await get(`cubbyhole/${name}`))[0], 404, `${name} is no key`)
      t.equal((await broker.ask('GET', `sys/policies/acl/${name}`)).status, 404, `${name} is no policy`)
      t.equal((await broker.ask('GET', `auth/approle/role/${name}`)).status, 404, `${name} is no role`)
      t.equal((await broker.ask('GET', `sys/mounts/${name}`)).status, 400, `${name} is no mount`)
      t.equal((await broker.ask('GET', `aws/roles/${name}`)).status, 404, `${name} is no AWS role`)
      t.match((await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: name } })).body.errors, ['invalid lease'])
    }
  })

  t.test('SEC-212 SEC-240 SEC-309 answers are not kept, not shared and not compressed', async (t) => {
    const answer = await broker.ask('GET', 'cubbyhole/data/x', {
      token, headers: { origin: 'https://evil.example', 'if-none-match': '*', 'accept-encoding': 'gzip, br', range: 'bytes=0-1' }
    })
    t.equal(answer.status, 200)
    t.match(answer.headers, { 'cache-control': 'no-store', 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
    for (const name of ['etag', 'last-modified', 'server', 'content-encoding', 'access-control-allow-origin', 'location', 'set-cookie', 'x-powered-by']) {
      t.notOk(name in answer.headers, name)
    }
    const preflight = await broker.ask('OPTIONS', 'cubbyhole/data/x', { token: null, headers: { origin: 'null', 'access-control-request-method': 'PUT' } })
    t.strictSame(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control')), [])
  })

  t.test('SEC-063 headers of proxies change no address and no decision', async (t) => {
    const answer = await broker.ask('GET', 'cubbyhole/data/a', {
      token, headers: { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-original-url': '/v1/cubbyhole/data/x', 'x-rewrite-url': '/v1/cubbyhole/data/x' }
    })
    t.equal(answer.status, 403)
    t.notMatch(JSON.stringify(answer.headers), /evil/)
  })

  t.test('SEC-200 a body that says one thing twice, two things, or more than JSON is refused and writes nothing', async (t) => {
    const bodies = ['{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":1}{"a":2}', '{"a":1} x', '[{"a":1}]', '"a"', '{"a":1', Buffer.from('{"a":"\xff"}', 'latin1'), '{"a":"\\ud800"}']
    for (const body of bodies) {
      const answer = await broker.ask('PUT', 'cubbyhole/data/twice', { token, body })
      t.equal(answer.status, 400, String(body))
    }
    t.equal((await get('cubbyhole/data/twice'))[0], 404)
  })

  t.test('SEC-306 requests on one connection are answered in order and never mixed, and a malformed one ends it', async (t) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const numbers = [...Array(200).keys()]
    const answers = await Promise.all(numbers.map((i) => new Promise<string>((resolve, reject) => {
      http.get({ port: broker.port, path: `/v1/cubbyhole/none?n=${i}`, agent, headers: { 'x-vault-token': token } }, (response) => {
        let text = `${i} ${response.statusCode} `
        response.on('data', (chunk) => { text += chunk }).on('end', () => resolve(text))
      }).on('error', reject)
    })))
    t.strictSame(answers, numbers.map((i) => `${i} 404 {"errors":[]}`))
  })

  t.test('SEC-258 SEC-259 every request has its two audit entries, refused ones included', async (t) => {
    t.strictSame(auditFaults(broker, ['CNRY']), [])
    t.ok(broker.audit().some(({ type, error }) => type === 'response' && error === 'malformed path'), 'also where the path was refused')
  })
})
