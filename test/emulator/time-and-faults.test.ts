import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { get, request as httpRequest } from 'node:http'
import t, { type Test } from 'tap'
import type { FaultRequest } from '../../src/emulator/faults.ts'
import { createClock } from '../../src/emulator/state/clock.ts'
import { createPropagation } from '../../src/emulator/state/propagation.ts'
import { allowAll, policy, startBench, trust } from './helpers/start.ts'
import { post } from './helpers/sign.ts'

const home = '111122223333'
const seed = {
  accounts: [{
    id: home,
    users: [{ name: 'admin', accessKeys: [{}], policies: { all: allowAll } }, { name: 'user', accessKeys: [{}] }],
    roles: [{ name: 'R', trust: trust({ AWS: home }), policies: { all: allowAll } }]
  }]
}

async function start (t: Test, options = {}) {
  const bench = await startBench(t, { seed, ...options })
  const keys = bench.keysOf('admin')
  const RoleArn = `arn:aws:iam::${home}:role/R`
  const assume = (more: { signal?: AbortSignal, name?: string } = {}) => bench.sts(keys).send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: more.name ?? 'run-1' }),
    more.signal === undefined ? {} : { abortSignal: more.signal })
  const events = () => bench.emulator.trail({ eventName: 'AssumeRole' }).length
  return { ...bench, keys, assume, events }
}

t.test('a change of IAM reaches each region after its delay', async (t) => {
  const { iam, ec2, keys, keysOf, emulator, admin } = await start(t)
  emulator.clock.freeze()
  t.match(await admin('POST', 'propagation', { delayMs: 4000, regions: { 'eu-west-1': { delayMs: 1000 }, 'eu-west-2': { delayMs: 'never' } } }), { delayMs: 4000, regions: { 'eu-west-2': { delayMs: 'never' } } })
  const look = async () => Promise.all(['us-east-1', 'eu-west-1', 'eu-west-2'].map(async (region) => (await ec2(keysOf('user'), 'DescribeVpcs', {}, region)).status))
  const document = JSON.stringify(policy({ Effect: 'Allow', Action: 'ec2:*', Resource: '*' }))
  t.equal((await iam(keys, 'PutUserPolicy', { UserName: 'user', PolicyName: 'p', PolicyDocument: document })).status, 200)
  t.equal((await iam(keys, 'GetUserPolicy', { UserName: 'user', PolicyName: 'p' })).status, 200, 'IAM itself knows at once')
  t.strictSame(await look(), [403, 403, 403])
  emulator.clock.advance(1000)
  t.strictSame(await look(), [403, 200, 403])
  emulator.clock.advance(3000)
  t.strictSame(await look(), [200, 200, 403])
  await admin('POST', 'propagation', {})
  t.equal((await iam(keys, 'DeleteUserPolicy', { UserName: 'user', PolicyName: 'p' })).status, 200)
  t.strictSame(await look(), [403, 403, 403], 'a later change overtakes')
})

t.test('jitter is the same at every start with the same seed, and a region never goes back', async (t) => {
  const history = (seed: string) => {
    const clock = createClock(() => 0)
    const cell = createPropagation(clock, seed, { delayMs: 100, jitterMs: 1000, regions: {} }).cell<number>()
    const seen: (number | null)[] = []
    for (let step = 0; step < 200; step++) {
      if (step % 20 === 0 && step < 100) cell.set(step)
      clock.advance(17)
      seen.push(cell.seenFrom('eu-west-1'))
    }
    return seen
  }
  const one = history('a')
  t.strictSame(one, history('a'))
  t.notSame(one, history('b'))
  t.strictSame(one.map(Number), one.map(Number).toSorted((a, b) => a - b))
  t.equal(one.at(-1), 80)
})

t.test('the clock is moved, frozen and set through the admin path', async (t) => {
  const { admin, emulator } = await start(t)
  t.match(await admin('POST', 'clock', { set: '2030-01-01T00:00:00Z', freeze: true }), { now: '2030-01-01T00:00:00.000Z', frozen: true })
  t.match(await admin('POST', 'clock', { advanceSeconds: 90 }), { now: '2030-01-01T00:01:30.000Z' })
  t.equal(emulator.clock.now(), Date.parse('2030-01-01T00:01:30Z'))
  t.match(await admin('POST', 'clock', { resume: true }), { frozen: false })
  t.match(await admin('POST', 'clock', { set: 'soon' }), { error: /instant/ })
  t.match(await admin('POST', 'clock', { advanceMs: 1e300 }), { error: /beyond/ })
})

t.test('throttling and server errors come as the service words them, before or after the effect', async (t) => {
  const { admin, assume, events, ec2, keys } = await start(t)
  const fault = (request: FaultRequest) => admin('POST', 'faults', request)
  await fault({ kind: 'throttle' })
  await t.rejects(assume(), { name: 'Throttling', message: 'Rate exceeded', $metadata: { httpStatusCode: 400 } })
  await fault({ kind: 'throttle', match: { service: 'ec2' } })
  t.match(await ec2(keys, 'DescribeVpcs'), { status: 503, code: 'RequestLimitExceeded' })
  await fault({ kind: 'error' })
  await t.rejects(assume(), { name: 'InternalFailure', $metadata: { httpStatusCode: 500 } })
  await fault({ kind: 'error', status: 503 })
  await t.rejects(assume(), { name: 'ServiceUnavailable', $metadata: { httpStatusCode: 503 } })
  t.equal(events(), 0, 'nothing took effect')
  await fault({ kind: 'error', effect: 'after' })
  await t.rejects(assume(), { name: 'InternalFailure' })
  t.equal(events(), 1, 'the session was made, the answer was lost')
  await t.resolves(assume())
})

t.test('faults choose their requests and count them', async (t) => {
  const { admin, assume } = await start(t, { rngSeed: 'chance' })
  const made = await admin('POST', 'faults', { kind: 'throttle', match: { action: 'AssumeRole', sessionName: 'bad' }, skip: 1, count: 2 })
  t.match(made, { id: /^fault-/, left: 2, hits: 0 })
  await t.resolves(assume({ name: 'bad' }), 'one passes first')
  await t.resolves(assume({ name: 'good' }))
  await t.rejects(assume({ name: 'bad' }))
  await t.rejects(assume({ name: 'bad' }))
  await t.resolves(assume({ name: 'bad' }))
  t.match(await admin('GET', 'faults'), { faults: [{ hits: 2, left: 0 }] })
  t.match(await admin('DELETE', 'faults'), { faults: [] })
  await admin('POST', 'faults', { kind: 'throttle', count: null, probability: 0.5 })
  const results = await Promise.allSettled(Array.from({ length: 60 }, () => assume()))
  const refused = results.filter(({ status }) => status === 'rejected').length
  t.ok(refused > 10 && refused < 50, `${refused} of 60`)
  t.match(await admin('POST', 'faults', { kind: 'earthquake' }), { error: /^kind: one of/ })
  t.match(await admin('POST', 'faults', { kind: 'slow', match: { action: 1 } }), { error: /^match.action/ })
})

t.test('answers that never come, break off or make no sense', async (t) => {
  const { admin, assume, events, emulator } = await start(t)
  const fault = (request: FaultRequest) => admin('POST', 'faults', request)
  await fault({ kind: 'reset', effect: 'before' })
  await t.rejects(assume(), { code: 'ECONNRESET' })
  t.equal(events(), 0)
  await fault({ kind: 'reset', effect: 'after' })
  await t.rejects(assume(), { code: 'ECONNRESET' })
  t.equal(events(), 1)
  await fault({ kind: 'truncated' })
  await t.rejects(assume())
  t.equal(events(), 2)
  await fault({ kind: 'malformed-xml' })
  await t.rejects(assume())
  await fault({ kind: 'empty' })
  t.equal((await assume().catch(() => null))?.Credentials, undefined)
  await fault({ kind: 'html' })
  await t.rejects(assume())
  t.equal(events(), 5)
  await fault({ kind: 'redirect', location: `${emulator.endpoint}/elsewhere` })
  await t.rejects(assume())
  t.equal(events(), 5, 'a redirect comes before the effect')
  await fault({ kind: 'hang', effect: 'after' })
  await t.rejects(assume({ signal: AbortSignal.timeout(200) }), { name: 'AbortError' })
  t.equal(events(), 6)
  await fault({ kind: 'slow', delayMs: 120 })
  const startedMs = performance.now()
  await t.resolves(assume())
  t.ok(performance.now() - startedMs >= 110)
})

t.test('a clock that seems to run ahead: the SDK corrects itself by the Date header', async (t) => {
  const { admin, sts, keys } = await start(t)
  await admin('POST', 'faults', { kind: 'clock-skew', skewMs: 3_600_000, count: null })
  const client = sts(keys)
  await t.rejects(client.send(new GetCallerIdentityCommand({})), { name: 'SignatureDoesNotMatch', message: /^Signature expired: / })
  await t.resolves(client.send(new GetCallerIdentityCommand({})), 'signed for the hour it was told')
})

t.test('only programs on this machine reach the admin path', async (t) => {
  const { emulator } = await start(t)
  const ask = (headers: Record<string, string>) => new Promise<number>((resolve, reject) => {
    httpRequest({ port: emulator.port, host: '127.0.0.1', path: '/_emulator/identities', headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    }).on('error', reject).end()
  })
  t.equal(await ask({}), 200)
  t.equal(await ask({ host: 'evil.example' }), 403, 'a name that was made to resolve to loopback')
  t.equal(await ask({ origin: 'https://evil.example' }), 403, 'a page in a browser')
})

t.test('the trail tells a customer\'s account what happened in it, joined to the caller\'s', async (t) => {
  const customer = '444455556666'
  const { emulator, sts, keysOf, admin } = await startBench(t, {
    seed: {
      accounts: [
        seed.accounts[0],
        { id: customer, roles: [{ name: 'C', trust: trust({ AWS: home }, { StringEquals: { 'sts:ExternalId': 'id-1' } }) }] }
      ]
    }
  })
  const client = sts(keysOf('admin'))
  const input = { RoleArn: `arn:aws:iam::${customer}:role/C`, RoleSessionName: 'run-7', DurationSeconds: 900 }
  const { Credentials: made } = await client.send(new AssumeRoleCommand({ ...input, ExternalId: 'id-1' }))
  await t.rejects(client.send(new AssumeRoleCommand(input)))
  const [own, refused] = emulator.trail({ eventName: 'AssumeRole', accountId: home })
  const theirs = emulator.trail({ accountId: customer })
  t.equal(theirs.length, 1, 'a refusal is told to the caller\'s account alone')
  t.match(own, {
    eventSource: 'sts.amazonaws.com', awsRegion: 'us-east-1', readOnly: true,
    userIdentity: { type: 'IAMUser', userName: 'admin', accountId: home, accessKeyId: keysOf('admin').accessKeyId },
    requestParameters: { roleArn: input.RoleArn, roleSessionName: 'run-7', externalId: 'id-1', durationSeconds: 900 },
    responseElements: { credentials: { accessKeyId: made?.AccessKeyId }, assumedRoleUser: { assumedRoleId: /^AROA.*:run-7$/ } }
  })
  t.match(theirs[0], { userIdentity: { type: 'AWSAccount', accountId: home }, sharedEventID: own?.['sharedEventID'], recipientAccountId: customer })
  t.match(refused, { errorCode: 'AccessDenied', responseElements: null })
  t.notMatch(JSON.stringify(emulator.trail()), made?.SecretAccessKey ?? '')
  t.match(await admin('GET', `trail?accountId=${customer}&sessionName=run-7`), { events: [{ eventName: 'AssumeRole' }], count: 3 })
  await client.send(new GetCallerIdentityCommand({}))
  t.match(await post(emulator.endpoint, { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '', sessionToken: made?.SessionToken ?? '' }, { Action: 'GetCallerIdentity', Version: '2011-06-15' }), { status: 200 })
  t.match(emulator.trail({ accountId: customer }).at(-1), {
    userIdentity: { type: 'AssumedRole', sessionContext: { sessionIssuer: { userName: 'C' }, attributes: { mfaAuthenticated: 'false' } } }
  })
})

t.test('the admin path refuses what it does not understand, and pages in a browser', async (t) => {
  const { admin, emulator } = await startBench(t)
  const nonsense: [string, object][] = [
    ['clock', []], ['clock', { advanceSecond: 1 }], ['clock', { set: 5 }], ['faults', { kind: 'throttle', count: 0 }],
    ['faults', { kind: 'slow', delayMs: -1 }], ['faults', { kind: 'error', status: 99 }],
    ['faults', { kind: 'throttle', probability: 2 }], ['faults', { kind: 'throttle', matches: {} }],
    ['propagation', { delay: 5 }], ['propagation', { delayMs: -5 }], ['limits', { stsRequestsPerSecond: 0 }]
  ]
  for (const [target, body] of nonsense) {
    t.match(await admin('POST', target, body), { error: /needed$/ }, `${target} ${JSON.stringify(body)}`)
  }
  t.same(emulator.faults.list(), [])
  const pages = [{ Origin: 'http://page.example' }, { Origin: 'null' }, { Origin: emulator.endpoint }, { 'Sec-Fetch-Site': 'cross-site' }]
  for (const headers of pages) {
    t.equal(await statusOf(emulator.endpoint, headers), 403, JSON.stringify(headers))
  }
  for (const host of ['page.example', '127.0.0.1.page.example', 'localhost.page.example', '0.0.0.0']) {
    t.equal(await statusOf(emulator.endpoint, { Host: host }), 403, host)
  }
  t.equal(await statusOf(emulator.endpoint, {}), 200)
})

t.test('faults that are used up do not pile up', async (t) => {
  const { emulator } = await startBench(t)
  const lasting = emulator.faults.add({ kind: 'throttle', match: { action: 'Nothing' } })
  for (let i = 0; i < 1500; i++) {
    emulator.faults.add({ kind: 'throttle', match: { action: 'GetCallerIdentity' } })
    emulator.faults.take({ service: 'sts', action: 'GetCallerIdentity', region: '', accessKeyId: '', accountId: '', roleArn: undefined, sessionName: undefined })
  }
  t.equal(emulator.faults.list().length, 1000)
  t.equal(emulator.faults.list()[0]?.id, lasting.id, 'one that was not used stays')
})

/** The status of a request to the admin path with headers that a browser or a stranger would send. */
function statusOf (endpoint: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`${endpoint}/_emulator/identities`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}
