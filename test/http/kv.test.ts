import t from 'tap'
import { auditFaults, startBroker, type TestBroker } from '../helpers/broker.ts'

t.setTimeout(100_000)

const kv2 = { type: 'kv', options: { version: '2' } }

async function mounted (broker: TestBroker, path: string) {
  await broker.must('POST', `sys/mounts/${path}`, { body: kv2 })
  await broker.must('POST', `${path}/data/team/a`, { body: { data: { v: 'canary-one' } } })
  await broker.must('POST', `${path}/data/team/a`, { body: { data: { v: 'canary-two' } } })
}

t.test('each operation needs the right on its own path (SEC-026, SEC-195, SEC-207)', async (t) => {
  const broker = await startBroker(t)
  await mounted(broker, 'kv')
  const merge = { 'content-type': 'application/merge-patch+json' }
  const requests = [
    ['GET', 'data/team/a', 'data', 'read'], ['POST', 'data/team/a', 'data', 'update', { data: { v: 1 } }],
    ['PATCH', 'data/team/a', 'data', 'patch', { data: { v: 1 } }], ['DELETE', 'data/team/a', 'data', 'delete'],
    ['POST', 'delete/team/a', 'delete', 'update', { versions: [1] }], ['POST', 'undelete/team/a', 'undelete', 'update', { versions: [1] }],
    ['POST', 'destroy/team/a', 'destroy', 'update', { versions: [1] }], ['GET', 'subkeys/team/a', 'subkeys', 'read'],
    ['GET', 'metadata/team/a', 'metadata', 'read'], ['POST', 'metadata/team/a', 'metadata', 'update', { max_versions: 5 }],
    ['PATCH', 'metadata/team/a', 'metadata', 'patch', { max_versions: 5 }], ['LIST', 'metadata/team', 'metadata', 'list'],
    ['SCAN', 'metadata/team', 'metadata', 'scan'], ['GET', 'detailed-metadata/team?scan=true', 'detailed-metadata', 'scan'],
    ['DELETE', 'metadata/team/a', 'metadata', 'delete']
  ] as const
  const all = '"create", "read", "update", "delete", "list", "scan", "patch"'
  for (const [method, path, root, capability, body] of requests) {
    await broker.must('POST', 'kv/data/team/a', { body: { data: { v: 'canary-two' } } })
    const asked = (token: string) => ({ token, headers: method === 'PATCH' ? merge : {}, ...(body !== undefined && { body }) })
    const others = [...new Set(requests.map(([, , other]) => other))].filter((other) => other !== root)
    const wrongPaths = others.map((other) => `path "kv/${other}/*" { capabilities = [${all}] }`).join('\n')
    const wrongVerbs = `path "kv/${root}/*" { capabilities = [${all.replace(`"${capability}"`, '"create"')}] }`
    const { client_token: outsider } = await broker.tokenFor(`${wrongPaths}\n${wrongVerbs}`)
    t.equal((await broker.ask(method, `kv/${path}`, asked(outsider))).status, 403, `${method} ${path} with all but its own right`)
    const { client_token: insider } = await broker.tokenFor(`path "kv/${root}/*" { capabilities = ["${capability}"] }`)
    const answer = await broker.ask(method, `kv/${path}`, asked(insider))
    t.ok(answer.status === 200 || answer.status === 204, `${method} ${path} with its own right is ${answer.status}`)
    if (method === 'PATCH') t.notMatch(answer.text, /canary/, 'a patch answers no value (SEC-197)')
  }
  t.strictSame(auditFaults(broker, ['canary-one', 'canary-two']), [])
})

t.test('a scan goes into no folder that its caller may not scan, whatever the pages (SEC-010, SEC-011, SEC-012)', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/kv', { body: kv2 })
  await broker.must('POST', 'sys/mounts/plain', { body: { type: 'kv' } })
  const names = ['a', 'b/c', 'b/d/e', 'exact', 'exact/x', 'hidden/x', 'hidden/y/z', 'listed/x', 'other/HIDDEN/x', 'other/open/x', 'team/s/deep/x', 'team/s/x']
  for (const name of names) {
    await broker.must('POST', `kv/data/${name}`, { body: { data: {} } })
    await broker.must('POST', `plain/${name}`, { body: { v: 1 } })
  }
  const policy = ['kv/metadata', 'kv/detailed-metadata', 'plain'].map((root) => `
    path "${root}/*" { capabilities = ["scan", "list"] }
    path "${root}" { capabilities = ["scan"] }
    path "${root}/hidden/*" { capabilities = ["deny"] }
    path "${root}/other/hidden/*" { capabilities = ["deny"] }
    path "${root}/exact" { capabilities = ["deny"] }
    path "${root}/listed/*" { capabilities = ["list", "read"] }
    path "${root}/team/+/deep/*" { capabilities = ["deny"] }`).join('')
  const { client_token: token } = await broker.tokenFor(policy)
  const shown = ['a', 'b/c', 'b/d/e', 'exact', 'other/open/x', 'team/s/x']
  for (const root of ['kv/metadata', 'kv/detailed-metadata', 'plain']) {
    const keysOf = async (query: string) => {
      const { status, body } = await broker.ask('GET', `${root}?scan=true${query}`, { token })
      return status === 404 ? [] : body.data?.['keys'] as string[]
    }
    t.strictSame(await keysOf(''), shown, root)
    for (const folder of ['hidden', 'exact', 'listed', 'team/s/deep']) t.equal((await broker.ask('SCAN', `${root}/${folder}`, { token })).status, 403, folder)
    const paged: string[] = []
    for (let page = await keysOf('&limit=2'); page.length > 0; page = await keysOf(`&limit=2&after=${page.at(-1)}`)) {
      t.ok(page.length <= 2)
      paged.push(...page)
    }
    t.strictSame(paged, shown, `${root} by pages`)
    t.equal(((await broker.must('SCAN', root)).body.data?.['keys'] as string[]).length, names.length, 'root sees all')
  }
})

t.test('mounts are told apart at segments, and no mount has data of an earlier one (SEC-027, SEC-029)', async (t) => {
  const broker = await startBroker(t)
  await mounted(broker, 'kv')
  await mounted(broker, 'kv-prod')
  const { client_token: token } = await broker.tokenFor('path "kv*" { capabilities = ["read"] }')
  for (const path of ['kv-prodx/data/team/a', 'kvprod/data/team/a', 'kv-pro/data/team/a', 'k/data/team/a']) {
    t.ok([403, 404].includes((await broker.ask('GET', path, { token })).status), path)
  }
  await broker.must('DELETE', 'sys/mounts/kv')
  t.match(await broker.ask('GET', 'kv/data/team/a', { token }), { status: 404 })
  await broker.must('POST', 'sys/mounts/kv', { body: kv2 })
  t.match(await broker.ask('GET', 'kv/data/team/a', { token }), { status: 404, text: '{"errors":[]}' })
  t.match(await broker.ask('GET', 'kv/metadata/team/a', { token }), { status: 404, text: '{"errors":[]}' })
  t.match(await broker.must('GET', 'kv-prod/data/team/a', { token }), { body: { data: { data: { v: 'canary-two' } } } })
})

t.test('names of keys come back as they were written, or are refused (SEC-209)', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/kv', { body: kv2 })
  const names = ['{a}', 'm-kv:meta', 'a*b', 'a:b', '{x', 'y}', 'é', '日本', 'a b', '$(x)', '..a', 'x'.repeat(512), '__proto__', 'constructor', 'toString', '1']
  for (const name of names) {
    const path = encodeURIComponent(name)
    await broker.must('POST', `kv/data/n/${path}`, { body: { data: { name } } })
    t.match((await broker.must('GET', `kv/data/n/${path}`)).body.data, { data: { name } })
  }
  const { keys } = (await broker.must('LIST', 'kv/metadata/n')).body.data ?? {}
  t.strictSame(keys, names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
  const details = (await broker.must('LIST', 'kv/detailed-metadata/n')).body.data?.['key_info'] as object
  t.equal(Object.keys(details).length, names.length)
  for (const path of ['a%0d%0ab', 'a%00b', '%ff%fe', 'a%2fb%2f..%2fc', 'a%5cb']) {
    const { status } = await broker.ask('POST', `kv/data/n/${path}`, { body: { data: {} } })
    t.ok(status === 400 || status === 200, `${path} is ${status}`)
  }
  for (const name of names) await broker.must('DELETE', `kv/metadata/n/${encodeURIComponent(name)}`)
  t.equal((await broker.ask('LIST', 'kv/metadata/n')).status === 200, (await broker.ask('GET', 'kv/data/n/a/b/c')).status === 200)
})

t.test('parameter rules hold for a patch and for every spelling (SEC-025)', async (t) => {
  const broker = await startBroker(t)
  await mounted(broker, 'kv')
  const { client_token: token } = await broker.tokenFor(`path "kv/data/*" {
    capabilities = ["create", "update", "patch"]
    denied_parameters = { "options" = [] }
  }`)
  const headers = { 'content-type': 'application/merge-patch+json' }
  for (const body of ['{"data":{},"options":{}}', '{"data":{},"OPTIONS":{}}', '{"data":{},"options":null}', '{"data":{},"options":[]}', '{"data":{},"\\u006fptions":{}}']) {
    for (const method of ['POST', 'PATCH']) t.equal((await broker.ask(method, 'kv/data/team/a', { token, body, headers })).status, 403, `${method} ${body}`)
  }
  t.equal((await broker.ask('POST', 'kv/data/team/a', { token, body: '{"data":{},"data":{}}' })).status, 400, 'a name given twice (SEC-200)')
  t.equal((await broker.ask('POST', 'kv/data/team/a?options=x', { token, body: '{"data":{}}' })).status, 200, 'a query is no parameter of a write')
})

t.test('no answer with a secret can be kept or told apart by a cache (SEC-212)', async (t) => {
  const broker = await startBroker(t)
  await mounted(broker, 'kv')
  const headers = { 'if-none-match': '*', 'if-modified-since': 'Sat, 01 Jan 2050 00:00:00 GMT' }
  const answer = await broker.must('GET', 'kv/data/team/a', { headers })
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } })
  for (const name of ['etag', 'last-modified', 'server']) t.equal(answer.headers[name], undefined)
})

t.test('what is refused stands in no answer, log and audit entry (SEC-199, SEC-201)', async (t) => {
  const broker = await startBroker(t)
  await mounted(broker, 'kv')
  const canary = 'canary-7f3a9'
  const { client_token: token } = await broker.tokenFor('path "kv/*" { capabilities = ["create", "read", "update"] }')
  const bodies = [
    `{"data":"${canary}"}`, `{"data":{"a":1},"options":"${canary}"}`, `{"data":{},"options":{"cas":"${canary}"}}`, `{"data":{"v":"${canary}"`,
    `{"data":{"v":"${canary}${'x'.repeat(700_000)}"}}`, `{"data":{"v":"${canary}"},"options":{"cas":99}}`
  ]
  for (const body of bodies) {
    const answer = await broker.ask('POST', 'kv/data/team/a', { token, body })
    t.equal(answer.status, 400, body.slice(0, 60))
    t.notMatch(answer.text, /canary/)
  }
  const tooLarge = await broker.ask('POST', 'kv/data/team/a', { token, body: `{"data":{"v":"${canary}${'x'.repeat(33_554_432)}"}}` }).catch(() => null)
  t.ok(tooLarge === null || tooLarge.status === 413)
  await broker.must('POST', 'kv/data/team/a', { body: { data: { [canary]: canary, n: 4711_0815 } } })
  await broker.must('GET', 'kv/data/team/a')
  t.strictSame(auditFaults(broker, [canary, '47110815']), [])
  t.notMatch(broker.output(), /canary/)
})

t.test('the version of a mount is 1 or 2, is raised and never lowered', async (t) => {
  const broker = await startBroker(t)
  const enable = (path: string, body: object) => broker.ask('POST', `sys/mounts/${path}`, { body: { ...body } })
  t.match(await enable('x', { type: 'kv', options: { version: '3' } }), { status: 400, body: { errors: ['invalid version provided: 3'] } })
  t.match(await enable('x', { type: 'aws', options: { version: '2' } }), { status: 400, body: { errors: ['secrets engine "aws" does not allow setting a version'] } })
  t.match(await enable('kv', { type: 'kv-v1', options: { version: '2' } }), { status: 204 })
  const tune = (options: object) => broker.ask('POST', 'sys/mounts/kv/tune', { body: { options: { ...options } } })
  t.match(await tune({ version: '7' }), { status: 400, body: { errors: ['invalid version provided: 7'] } })
  await broker.must('POST', 'kv/data/x', { body: { v: 1 } })
  t.match(await tune({ version: '2' }), { status: 200, body: { warnings: [/^Upgrading mount from version 1 to version 2/] } })
  t.match((await broker.must('GET', 'kv/data/data/x')).body.data, { data: { v: 1 }, metadata: { version: 1 } })
  for (const version of ['1', '']) t.match(await tune({ version }), { status: 400, body: { errors: ['cannot downgrade mount from version 2'] } })
  t.match(await tune({ other: 'x' }), { status: 204 })
})

t.test('mount paths that could be mistaken for others change nothing (SEC-028)', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: kv2 })
  const before = (await broker.must('GET', 'sys/mounts')).body.data
  for (const path of ['a/b', 'auth', 'sys', 'A', 'a//', '..', '%2e%2e', 'x'.repeat(300), 'a%20', 'a%00', 'sys/x', 'é']) {
    t.equal((await broker.ask('POST', `sys/mounts/${path}`, { body: kv2 })).status, 400, path)
  }
  t.strictSame((await broker.must('GET', 'sys/mounts')).body.data, before)
})
