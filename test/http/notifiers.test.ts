import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { auditFaults, startBroker, textOf } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'
import { startHcp } from '../notify/hcp-stub.ts'
import { startReceiver, verified } from '../notify/receiver.ts'

const notifiers = 'sys/latchkey/notifiers'

t.test('notifiers over the API', async (t) => {
  const broker = await startBroker(t)
  const receiver = await startReceiver(t)
  const write = (name: string, body: JsonObject) => broker.ask('POST', `${notifiers}/${name}`, { body })
  await broker.must('POST', 'sys/mounts/kv', { body: { type: 'kv' } })
  await broker.must('POST', 'sys/latchkey/rotation/kv', { body: { stable_path: 'never', on_tripwire: 'webhook' } })
  const nameOf = async (path: string) => textOf(await broker.must('GET', `sys/latchkey/resolve/${path}`), 'name')

  t.test('a webhook is made with a secret that is shown once, told of rotations and alarms, and read without it', async (t) => {
    const made = await broker.must('POST', `${notifiers}/ops`, { body: { type: 'webhook', url: receiver.url, events: ['rotation', 'tripwire'] } })
    const secret = textOf(made, 'secret')
    t.match(secret, /^whsec_/)
    await until('it was told the present slot', () => receiver.got.length === 1)
    const old = await nameOf('kv')
    await broker.must('POST', 'sys/latchkey/rotation/kv/rotate', { body: { grace: 0 } })
    await until('the rotation came', () => receiver.got.length === 2)
    await broker.ask('GET', `${old}/x`)
    await until('the alarm came', () => receiver.got.length === 3)
    await broker.ask('GET', `${old}/x`, { token: null, from: '127.0.0.9' })
    await until('the alarm about a stranger came', () => receiver.got.length === 4)
    t.match(receiver.got.map((got) => verified(got, secret)), [
      { type: 'rotation', data: { mount: 'kv', slot: 1 } },
      { type: 'rotation', data: { mount: 'kv', slot: 2, former_name_ends_time: null } },
      { type: 'tripwire', data: { mount: 'kv', grace: 'outside', slots_ago: 1, reaction: 'webhook' } },
      { type: 'tripwire', data: { token_accessor: null, address: '127.0.0.9', reaction: 'webhook' } }
    ])
    const present = await nameOf('kv')
    const told = receiver.got.map(({ text, headers }) => text + JSON.stringify(headers)).join('\n')
    for (const name of [old, present]) t.notOk(told.includes(name.slice(-26)), 'SEC-222')
    const shown = await broker.must('GET', `${notifiers}/ops`)
    t.match(shown.body.data, { name: 'ops', type: 'webhook', enabled: true, url: receiver.url, include_name: false, events: ['rotation', 'tripwire'], mounts: [], dead: 0, former_secrets_end_times: [] })
    t.notOk(shown.text.includes(secret.slice(6, 30)))
    t.notOk(JSON.stringify(receiver.got).includes('test-root-token'), 'SEC-114')
    t.strictSame(auditFaults(broker, [secret.slice(6), old, present]), [])
  })

  t.test('what is not sent stays as it is', async (t) => {
    await broker.must('POST', `${notifiers}/ops`, { body: { include_name: true, mounts: 'kv' } })
    await broker.must('POST', `${notifiers}/ops`, { body: { events: 'tripwire' } })
    t.match((await broker.must('GET', `${notifiers}/ops`)).body.data, { url: receiver.url, include_name: true, mounts: ['kv'], events: ['tripwire'] })
  })

  t.test('it needs sudo, for every part of it', async (t) => {
    const { client_token: weak } = await broker.tokenFor(`path "${notifiers}*" { capabilities = ["create", "read", "update", "delete", "list", "patch"] }`)
    const { client_token: strong } = await broker.tokenFor(`path "${notifiers}*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`)
    for (const [method, path] of [
      ['LIST', ''], ['GET', '/ops'], ['POST', '/ops'], ['POST', '/new'], ['DELETE', '/ops'], ['POST', '/ops/test'], ['POST', '/ops/rotate-secret'], ['LIST', '/ops/dead'],
      ['GET', '/ops/dead/x'], ['DELETE', '/ops/dead/x'], ['POST', '/ops/dead/x/retry'], ['GET', '/none'], ['POST', '/ops/elsewhere'], ['PATCH', '/ops']
    ] as const) {
      const body = method === 'POST' || method === 'PATCH' ? { body: {}, ...(method === 'PATCH' && { headers: { 'content-type': 'application/merge-patch+json' } }) } : {}
      t.equal((await broker.ask(method, notifiers + path, { token: weak, ...body })).status, 403, `${method} ${path}`)
      t.equal((await broker.ask(method, notifiers + path, { token: null, ...body })).status, 403, `${method} ${path}`)
    }
    t.strictSame((await broker.must('LIST', notifiers, { token: strong })).body.data?.['keys'], ['ops'])
    t.equal((await broker.ask('GET', `${notifiers}/none`, { token: strong })).status, 404)
  })

  t.test('SEC-222 names are told to a notifier by who may resolve them', async (t) => {
    const sudo = `path "${notifiers}/*" { capabilities = ["create", "read", "update", "delete", "sudo"] }`
    const resolve = (path: string) => `path "sys/latchkey/resolve/${path}" { capabilities = ["read"] }`
    const { client_token: none } = await broker.tokenFor(sudo)
    const { client_token: stranger } = await broker.tokenFor(`${sudo}\n${resolve('*')}`)
    const { client_token: one } = await broker.tokenFor(`${sudo}\n${resolve('kv')}\npath "kv/a" { capabilities = ["read"] }`)
    const hook = { type: 'webhook', url: `${receiver.url}/names`, include_name: true }
    const hcp = { type: 'hcp-terraform', address: 'http://127.0.0.1:9', token: 'CNRYtoken', workspace_id: 'ws-1' }
    const from = (token: string, body: JsonObject, name = 'names') => broker.ask('POST', `${notifiers}/${name}`, { body, token })
    for (const body of [{ ...hook, mounts: 'kv' }, hook, { ...hcp, variables: { kv: 'kv_name' } }]) {
      for (const token of [none, stranger]) t.match(await from(token, body), { status: 403, text: /may resolve/ })
    }
    for (const body of [hook, { ...hook, mounts: 'kv,other' }, { ...hcp, variables: { kv: 'kv_name', other: 'name' } }]) t.equal((await from(one, body)).status, 403)
    t.equal((await broker.ask('GET', `${notifiers}/names`)).status, 404)
    t.equal((await from(none, { ...hook, include_name: false }, 'quiet')).status, 200, 'alarms and slots are no names')
    t.equal((await from(none, { include_name: true }, 'quiet')).status, 403)
    t.equal((await from(one, { ...hook, mounts: 'kv' })).status, 200)
    t.equal((await from(none, { url: `${receiver.url}/elsewhere` })).status, 403)
    t.equal((await from(none, { mounts: '' })).status, 403)
    t.equal((await from(none, { enabled: false })).status, 204, 'whoever else may change it may end it')
    t.equal((await from(none, { enabled: true })).status, 403)
    for (const name of ['names', 'quiet']) await broker.must('DELETE', `${notifiers}/${name}`)
  })

  t.test('a test tells the status and nothing of the answer', async (t) => {
    receiver.answer = () => ({ status: 503, body: 'CNRYanswer', headers: { 'x-note': 'CNRYheader' } })
    const answer = await broker.must('POST', `${notifiers}/ops/test`, { body: {} })
    t.strictSame(answer.body.data, { delivered: false, status: 503, failure: 'it answered 503' })
    t.notMatch(answer.text, /CNRY/)
    receiver.answer = () => ({ status: 204 })
    t.match((await broker.must('POST', `${notifiers}/ops/test`)).body.data, { delivered: true })
  })

  t.test('settings that cannot be kept are refused with a sentence that helps and repeats nothing', async (t) => {
    const url = receiver.url
    const hcp = { type: 'hcp-terraform', token: 'CNRYtoken', workspace_id: 'ws-1', variables: { kv: 'kv_name' } }
    const bad: [JsonObject, RegExp][] = [
      [{}, /missing type/], [{ type: 'CNRY' }, /type is one of webhook, hcp-terraform/], [{ type: 'webhook' }, /missing url/],
      [{ type: 'webhook', url: 'http://CNRY.example/' }, /url is not allowed: it must use https/],
      [{ type: 'webhook', url: 'https://10.0.0.1/CNRY' }, /url is not allowed: the address is not one to connect to/],
      [{ type: 'webhook', url: 'https://CNRY:CNRY@example.com/' }, /url is not allowed/],
      [{ type: 'webhook', url, secret: 'CNRY' }, /a secret is whsec_/], [{ type: 'webhook', url, events: 'CNRY' }, /events are of rotation/],
      [{ type: 'webhook', url, events: '' }, /events are of/], [{ type: 'webhook', url, mounts: 'a b' }, /named by its own path/],
      [{ type: 'webhook', url, mounts: Array.from({ length: 101 }, (_, n) => `m${n}`) }, /at most 100/], [{ type: 'webhook', url, token: 'CNRY' }, /token is not for notifiers of the type webhook/],
      [{ ...hcp, url }, /url is not for/], [{ ...hcp, events: 'lease' }, /rotation alone/], [{ ...hcp, token: '' }, /missing token/], [{ ...hcp, token: 'CNRY\nx: y' }, /token is made of printable/],
      [{ ...hcp, workspace_id: '../CNRY' }, /workspace_id has the form/], [{ ...hcp, variables: { kv: 'CNRY name' } }, /key of a variable/],
      [{ ...hcp, variables: { a: 'same', b: 'same' } }, /do not share/], [{ ...hcp, variables: { kv: 'one', 'KV/': 'two' } }, /has one variable/], [{ ...hcp, category: 'CNRY' }, /category is one of/], [{ ...hcp, address: 'https://CNRY.example/path' }, /address is not allowed/],
      [{ ...hcp, address: 'http://10.0.0.1' }, /address is not allowed/], [{ ...hcp, message: 'CNRY'.repeat(100) }, /message has at most 256/],
      [{ ...hcp, variables: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`m${n}`, `v${n}`])) }, /at most 50/]
    ]
    for (const [body, why] of bad) {
      const answer = await write('bad', body)
      t.equal(answer.status, 400, why.source)
      t.match(answer.text, why)
      t.notMatch(answer.text, /CNRY/)
    }
    t.match(await write('Bad-Name', { type: 'webhook', url }), { status: 400, text: /lower-case/ })
    t.match(await write('ops', { type: 'hcp-terraform' }), { status: 400, text: /does not change/ })
    t.match(await write('ops', { secret: `whsec_${Buffer.alloc(32).toString('base64')}` }), { status: 400, text: /rotate-secret/ })
    t.strictSame((await broker.must('LIST', notifiers)).body.data?.['keys'], ['ops'], 'nothing of it was kept')
  })

  t.test('SEC-301 there are fifty notifiers at most', async (t) => {
    for (let n = 1; n < 50; n++) t.equal((await write(`n${n}`, { type: 'webhook', url: receiver.url, enabled: false })).status, 200)
    t.match(await write('one-more', { type: 'webhook', url: receiver.url }), { status: 429 })
    t.equal((await write('n1', { mounts: 'kv' })).status, 204)
    for (let n = 1; n < 50; n++) await broker.must('DELETE', `${notifiers}/n${n}`)
  })

  t.test('HCP Terraform gets the name, and the API, the log and the store have neither token nor secret', async (t) => {
    const hcp = await startHcp(t)
    await broker.must('POST', `${notifiers}/tfc`, {
      body: { type: 'hcp-terraform', address: hcp.address, token: hcp.token, workspace_id: hcp.workspaceId, variables: { kv: 'kv_name' }, start_run: true }
    })
    await until('the run was started', () => hcp.runs.length === 1)
    t.match(hcp.variables, [{ key: 'kv_name', value: await nameOf('kv'), sensitive: true }])
    const shown = await broker.must('GET', `${notifiers}/tfc`)
    t.match(shown.body.data, { address: hcp.address, workspace_id: hcp.workspaceId, variables: { kv: 'kv_name' }, category: 'terraform', start_run: true, auto_apply: null })
    t.notMatch(shown.text, /CNRY/)
    t.strictSame(auditFaults(broker, [hcp.token]), [])
  })

  t.test('what was given up is in the log without its path, and counted', async (t) => {
    const hcp = await startHcp(t)
    await broker.must('POST', `${notifiers}/wrong`, {
      body: { type: 'hcp-terraform', address: hcp.address, token: 'CNRYwrong', workspace_id: hcp.workspaceId, variables: { kv: 'kv_name' } }
    })
    await until('it was given up', () => broker.output().includes('a notification was given up'))
    const line = broker.output().split('\n').find((each) => each.includes('a notification was given up')) ?? '{}'
    t.match(JSON.parse(line), { notifier: 'wrong', host: new URL(hcp.address).host, event: 'rotation', attempts: 1, failure: 'HCP Terraform refused the token (401)' })
    t.notMatch(line, /CNRY|api\/v2|ws-/)
    const dead = await broker.must('LIST', `${notifiers}/wrong/dead`)
    const [id] = dead.body.data?.['keys'] as string[]
    t.match((await broker.must('GET', `${notifiers}/wrong/dead/${id}`)).body.data, { id, event: 'rotation', last_failure: 'HCP Terraform refused the token (401)', attempts: 1 })
    await broker.must('DELETE', `${notifiers}/wrong/dead/${id}`)
    t.equal((await broker.ask('GET', `${notifiers}/wrong/dead/${id}`)).status, 404)
    t.equal((await broker.ask('POST', `${notifiers}/wrong/dead/${id}/retry`)).status, 404)
    const { text } = await broker.must('GET', 'sys/metrics?format=prometheus')
    t.match(text, /latchkey_notifications_delivered_total\{type="webhook"\} [4-9]/)
    t.match(text, /latchkey_notifications_dead_total\{type="hcp-terraform"\} 1/)
    t.match(text, /# TYPE latchkey_notifications_pending gauge/)
  })

  t.test('SEC-372 a receiver that does not answer does not hold up a stop', async (t) => {
    const silent = await startReceiver(t)
    silent.answer = () => new Promise(() => {})
    await broker.must('POST', `${notifiers}/silent`, { body: { type: 'webhook', url: silent.url } })
    await until('it is asked', () => silent.got.length === 1)
    const from = performance.now()
    t.equal(await broker.stop(), 0)
    t.ok(performance.now() - from < 8000)
  })
})
