import {
  AssumeRoleCommand, DecodeAuthorizationMessageCommand, GetAccessKeyInfoCommand, GetCallerIdentityCommand,
  GetFederationTokenCommand, GetSessionTokenCommand, type AssumeRoleCommandInput, type Credentials, type STSClient
} from '@aws-sdk/client-sts'
import { hash } from 'node:crypto'
import t, { type Test } from 'tap'
import { oneTimeCode } from '../../src/emulator/sts/mfa.ts'
import { allowAll, policy, read, startBench, trust, type Bench } from './helpers/start.ts'
import { post, signedHeaders, type Keys } from './helpers/sign.ts'

// The AWS SDK for JavaScript, unmodified, against the emulator. No retries: each refusal is seen as it came.

const home = '111122223333'
const away = '444455556666'
const kin = '555566667777'
const caller = { AWS: `arn:aws:iam::${home}:user/caller` }
const mfaSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const withId = { StringEquals: { 'sts:ExternalId': 'id-1' } }
const assumeOnly = policy({ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' })

const seed = {
  accounts: [
    {
      id: home,
      organizationId: 'o-kin',
      rootAccessKeys: [{}],
      users: [
        {
          name: 'caller',
          accessKeys: [{}],
          policies: { all: policy([{ Effect: 'Allow', Action: '*', Resource: '*' }, { Effect: 'Deny', Action: 'sts:GetCallerIdentity', Resource: '*' }]) },
          mfaDevices: [{ serialNumber: `arn:aws:iam::${home}:mfa/caller`, secret: mfaSecret }]
        },
        { name: 'assumer', accessKeys: [{}], policies: { assume: assumeOnly } },
        { name: 'nobody', accessKeys: [{}] },
        { name: 'idle', accessKeys: [{ active: false }] }
      ],
      roles: [
        { name: 'Near', trust: trust({ AWS: home }) },
        { name: 'Named', trust: trust({ AWS: `arn:aws:iam::${home}:user/nobody` }) },
        { name: 'Second', trust: trust({ AWS: away }, undefined, ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity']), maxSessionSeconds: 43_200 },
        { name: 'Strict', trust: trust({ AWS: away }), maxSessionSeconds: 43_200 },
        { name: 'Mfa', trust: trust({ AWS: home }, { Bool: { 'aws:MultiFactorAuthPresent': 'true' } }) }
      ]
    },
    {
      id: away,
      users: [{ name: 'stranger', accessKeys: [{}], policies: { all: allowAll } }],
      policies: [
        { name: 'small', document: policy({ Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' }) },
        { name: 'long', document: policy({ Effect: 'Allow', Action: Array.from({ length: 90 }, (_, n) => `ec2:DescribeSomething${n}`), Resource: '*' }) }
      ],
      roles: [
        { name: 'Open', trust: trust({ AWS: home }, undefined, ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity']), maxSessionSeconds: 7200, policies: { all: allowAll } },
        { name: 'External', path: '/deep/er/', trust: trust({ AWS: home }, withId), policies: { all: allowAll } },
        { name: 'Untagged', trust: trust({ AWS: home }), policies: { all: allowAll } },
        { name: 'Like', trust: trust({ AWS: home }, { StringLike: { 'sts:ExternalId': 'acme@*' } }) },
        { name: 'Stranger', trust: trust({ AWS: '999999999999' }) },
        { name: 'Denied', trust: policy([{ Effect: 'Allow', Principal: { AWS: home }, Action: 'sts:AssumeRole' }, { Effect: 'Deny', Principal: { AWS: home }, Action: 'sts:AssumeRole', Condition: { StringNotEquals: { 'sts:ExternalId': 'id-1' } } }]) }
      ],
      stsDisabledRegions: ['eu-west-3']
    },
    { id: kin, organizationId: 'o-kin', roles: [{ name: 'Kin', trust: trust({ AWS: home }, withId) }] }
  ]
}

const arn = (role: string, account = away) => `arn:aws:iam::${account}:role/${role}`

function keysIn (credentials: Credentials | undefined): Keys {
  return {
    accessKeyId: credentials?.AccessKeyId ?? '',
    secretAccessKey: credentials?.SecretAccessKey ?? '',
    sessionToken: credentials?.SessionToken ?? ''
  }
}

const assume = (client: STSClient, RoleArn: string, more: Partial<AssumeRoleCommandInput> = {}) =>
  client.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'run-1', ...more }))

/** A refusal as the SDK raises it. */
function refusal (name: string, status: number, message: string | RegExp) {
  return { name, message, $metadata: { httpStatusCode: status } }
}

async function start (t: Test, options = {}) {
  const bench = await startBench(t, { seed, ...options })
  return { ...bench, client: bench.sts(bench.keysOf('caller'), 'eu-central-1') }
}

t.test('AssumeRole gives credentials that are who they say', async (t) => {
  const { client, sts } = await start(t)
  const { Credentials: credentials, AssumedRoleUser: user, PackedPolicySize: packed, SessionTokenSize: size } =
    await assume(client, arn('deep/er/External'), { ExternalId: 'id-1', DurationSeconds: 900 })
  t.match(credentials, { AccessKeyId: /^ASIA[A-Z2-7]{16}$/, SecretAccessKey: /^[\w+/]{40}$/, SessionToken: /^IQoJb3JpZ2luX2Vj/ })
  t.match(user, { AssumedRoleId: /^AROA[A-Z2-7]{17}:run-1$/, Arn: `arn:aws:sts::${away}:assumed-role/External/run-1` }, 'the path is dropped')
  t.equal(packed, undefined, 'nothing was packed')
  t.equal(size, credentials?.SessionToken?.length)
  const lifeSeconds = ((credentials?.Expiration?.getTime() ?? 0) - Date.now()) / 1000
  t.ok(lifeSeconds > 890 && lifeSeconds <= 900, `lives ${lifeSeconds} s`)
  t.match(await sts(keysIn(credentials)).send(new GetCallerIdentityCommand({})), {
    Account: away, Arn: user?.Arn, UserId: user?.AssumedRoleId
  })
})

t.test('one refusal for every way in which a role of a strange account is out of reach', async (t) => {
  const { client, sts, keysOf } = await start(t)
  const words = (who: string, role: string, account = away) =>
    `User: arn:aws:iam::${home}:user/${who} is not authorized to perform: sts:AssumeRole on resource: ${arn(role, account)}`
  const refused = (role: string, more: Partial<AssumeRoleCommandInput> = {}) =>
    t.rejects(assume(client, arn(role), more), refusal('AccessDenied', 403, words('caller', role)))
  await refused('deep/er/External')
  await refused('deep/er/External', { ExternalId: 'id-2' })
  await refused('deep/er/External', { ExternalId: 'ID-1' })
  await refused('External', { ExternalId: 'id-1' })
  await refused('deep/er/external', { ExternalId: 'id-1' })
  await refused('Missing', { ExternalId: 'id-1' })
  await refused('Stranger')
  await refused('Denied')
  await refused('Like', { ExternalId: 'acme2@x' })
  await t.rejects(assume(client, arn('Any', '999999999999')), refusal('AccessDenied', 403, words('caller', 'Any', '999999999999')))
  await t.rejects(assume(sts(keysOf('nobody')), arn('Open')), refusal('AccessDenied', 403, words('nobody', 'Open')))
  await t.resolves(assume(client, arn('Like'), { ExternalId: 'acme@x' }))
  await t.resolves(assume(client, arn('Denied'), { ExternalId: 'id-1' }))
})

t.test('in one account or organization the refusal names the kind of policy', async (t) => {
  const { client, sts, keysOf } = await start(t)
  const nobody = sts(keysOf('nobody'))
  await t.rejects(assume(nobody, arn('Near', home)), refusal('AccessDenied', 403,
    /:role\/Near because no identity-based policy allows the sts:AssumeRole action$/))
  await t.rejects(assume(client, arn('Kin', kin)), refusal('AccessDenied', 403,
    /:role\/Kin because no resource-based policy allows the sts:AssumeRole action$/))
  await t.resolves(assume(nobody, arn('Named', home)), 'a trust that names the user suffices in one account')
})

t.test('parameters are checked before rights, all of them in one message', async (t) => {
  const { sts, keysOf, client } = await start(t)
  const nobody = sts(keysOf('nobody'))
  await t.rejects(assume(nobody, 'short', { RoleSessionName: 'a b', DurationSeconds: 60, ExternalId: 'x' }),
    refusal('ValidationError', 400, '4 validation errors detected: ' +
      'Value \'short\' at \'roleArn\' failed to satisfy constraint: Member must have length greater than or equal to 20; ' +
      'Value \'a b\' at \'roleSessionName\' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*; ' +
      'Value \'60\' at \'durationSeconds\' failed to satisfy constraint: Member must have value greater than or equal to 900; ' +
      'Value \'x\' at \'externalId\' failed to satisfy constraint: Member must have length greater than or equal to 2'))
  const rejects = (more: Partial<AssumeRoleCommandInput>, name: string, message: string | RegExp) =>
    t.rejects(assume(client, arn('Open'), more), refusal(name, 400, message))
  await rejects({ RoleArn: undefined }, 'ValidationError', '1 validation error detected: Value null at \'roleArn\' failed to satisfy constraint: Member must not be null')
  await rejects({ RoleArn: 'arn:aws:iam::444455556666:user/Open' }, 'ValidationError', 'arn:aws:iam::444455556666:user/Open is invalid')
  await rejects({ RoleSessionName: 'x'.repeat(65) }, 'ValidationError', /at 'roleSessionName' .* length less than or equal to 64$/)
  await rejects({ DurationSeconds: 43_201 }, 'ValidationError', /value less than or equal to 43200$/)
  await rejects({ DurationSeconds: 7201 }, 'ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
  await rejects({ SourceIdentity: 'aws:x' }, 'ValidationError', /'sourceIdentity'/)
  await rejects({ Policy: 'x'.repeat(2049) }, 'ValidationError', /'policy' .* length less than or equal to 2048$/)
  await rejects({ Policy: '{' }, 'MalformedPolicyDocumentException', /./)
  await rejects({ Policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}' }, 'MalformedPolicyDocumentException', /./)
  await rejects({ Tags: [{ Key: 'a', Value: '1' }, { Key: 'A', Value: '2' }] }, 'InvalidParameterValue', 'Duplicate tag keys found. Please note that Tag keys are case insensitive.')
  await rejects({ Tags: [{ Key: 'a', Value: '1' }], TransitiveTagKeys: ['b'] }, 'InvalidParameterValue', 'The specified transitive tag key must be included in the requested tags.')
  await rejects({ Tags: [{ Key: '', Value: 'x'.repeat(257) }] }, 'ValidationError', /^3 validation errors .*'tags.1.member.key'.*'tags.1.member.value'/)
  await rejects({ Tags: Array.from({ length: 51 }, (_, n) => ({ Key: `k${n}`, Value: '' })) }, 'ValidationError', /'tags' .* less than or equal to 50$/)
  await rejects({ PolicyArns: Array.from({ length: 11 }, () => ({ arn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' })) }, 'ValidationError', /'policyArns' .* less than or equal to 10$/)
})

t.test('a session holds no more than its policy, and the token no more than 4,096 bytes', async (t) => {
  const { client, ec2, iam } = await start(t)
  const describeOnly = JSON.stringify(policy({ Effect: 'Allow', Action: 'ec2:DescribeVpcs', Resource: '*' }))
  const narrow = await assume(client, arn('Open'), { Policy: describeOnly })
  t.equal(narrow.PackedPolicySize, narrow.SessionTokenUtilization)
  t.ok((narrow.PackedPolicySize ?? 0) > 0 && (narrow.PackedPolicySize ?? 0) < 100)
  t.equal((await ec2(keysIn(narrow.Credentials), 'DescribeVpcs')).status, 200)
  t.match(await ec2(keysIn(narrow.Credentials), 'DescribeRegions'), {
    status: 403, code: 'UnauthorizedOperation', message: /^You are not authorized to perform this operation\. User: arn:aws:sts::444455556666:assumed-role\/Open\/run-1 is not authorized to perform: ec2:DescribeRegions because no session policy allows the ec2:DescribeRegions action$/
  })
  t.match(await iam(keysIn(narrow.Credentials), 'ListUsers'), { status: 403, code: 'AccessDenied', message: /because no session policy allows the iam:ListUsers action$/ })

  const both = await assume(client, arn('Open'), { Policy: describeOnly, PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/IAMReadOnlyAccess' }] })
  t.equal((await ec2(keysIn(both.Credentials), 'DescribeVpcs')).status, 200, 'session policies are united')
  t.equal((await iam(keysIn(both.Credentials), 'ListUsers')).status, 200)

  const noise = (count: number) => Array.from({ length: count }, (_, n) =>
    ({ Key: `k${n}`, Value: hash('sha512', `${n}`, 'base64').repeat(2) }))
  await t.rejects(assume(client, arn('Open'), { Tags: noise(50) }), refusal('PackedPolicyTooLargeException', 400, /^Packed size of session tags consumes \d{3}% of allotted space\.$/))
  await t.rejects(assume(client, arn('Open'), { PolicyArns: [{ arn: 'arn:aws:iam::444455556666:policy/long' }] }),
    refusal('PackedPolicyTooLargeException', 400, /^Packed policy consumes \d+% of allotted space, please use smaller policy\.$/))
  await t.rejects(assume(client, arn('Open'), { PolicyArns: [{ arn: 'arn:aws:iam::111122223333:policy/absent' }] }), refusal('ValidationError', 400, /does not exist/))
})

t.test('tags and source identity need rights of their own and survive chaining', async (t) => {
  const { client, sts } = await start(t)
  const refused = (action: string, role: string) =>
    refusal('AccessDenied', 403, new RegExp(`is not authorized to perform: sts:${action} on resource: ${role}`))
  await t.rejects(assume(client, arn('Untagged'), { Tags: [{ Key: 'run', Value: '1' }] }), refused('TagSession', arn('Untagged')))
  await t.rejects(assume(client, arn('Untagged'), { SourceIdentity: 'lease-1' }), refused('SetSourceIdentity', arn('Untagged')))

  const first = await assume(client, arn('Open'), { Tags: [{ Key: 'run', Value: '1' }, { Key: 'note', Value: 'x' }], TransitiveTagKeys: ['run'], SourceIdentity: 'lease-1' })
  t.equal(first.SourceIdentity, 'lease-1')
  const chained = sts(keysIn(first.Credentials))
  await t.rejects(assume(chained, arn('Strict', home)), refused('TagSession', arn('Strict', home)))
  await t.rejects(assume(chained, arn('Second', home), { Tags: [{ Key: 'RUN', Value: '2' }] }), refusal('InvalidParameterValue', 400, 'One of the specified transitive tag keys can\'t be set because it conflicts with a transitive tag key from the calling session.'))
  await t.rejects(assume(chained, arn('Second', home), { SourceIdentity: 'lease-2' }), refused('SetSourceIdentity', arn('Second', home)))
  const second = await assume(chained, arn('Second', home))
  t.equal(second.SourceIdentity, 'lease-1', 'inherited')
  t.equal(typeof second.PackedPolicySize, 'number', 'inherited tags are packed')
  await t.rejects(assume(chained, arn('Second', home), { DurationSeconds: 3601 }),
    refusal('ValidationError', 400, 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.'))
})

t.test('GetCallerIdentity answers whatever policies say', async (t) => {
  const { client, sts, keysOf, emulator } = await start(t)
  t.match(await client.send(new GetCallerIdentityCommand({})), { Account: home, Arn: caller.AWS, UserId: /^AIDA/ })
  t.match(await sts(keysOf('nobody')).send(new GetCallerIdentityCommand({})), { Account: home })
  const [root] = emulator.identities.accounts[0]?.rootAccessKeys ?? []
  if (root === undefined) throw new Error('no root key')
  t.match(await sts(root).send(new GetCallerIdentityCommand({})), { Account: home, UserId: home, Arn: `arn:aws:iam::${home}:root` })
  await t.rejects(assume(sts(root), arn('Open')), refusal('AccessDenied', 403, 'Roles may not be assumed by root accounts.'))
  const { UserId, ...rest } = await sts(keysOf('caller')).send(new GetCallerIdentityCommand({}))
  t.match(rest.$metadata.requestId, /^[0-9a-f-]{36}$/)
  t.ok(UserId)
  await t.rejects(sts(keysOf('idle')).send(new GetCallerIdentityCommand({})), refusal('InvalidClientTokenId', 403, 'The security token included in the request is invalid.'))
})

t.test('GetFederationToken: what the user and the session policy both allow, and no IAM or STS', async (t) => {
  const { client, sts, ec2, iam, keysOf } = await start(t)
  const federate = (more = {}) => client.send(new GetFederationTokenCommand({ Name: 'bob', ...more }))
  const bare = await federate()
  t.match(bare, { FederatedUser: { FederatedUserId: `${home}:bob`, Arn: `arn:aws:sts::${home}:federated-user/bob` }, PackedPolicySize: 0 })
  t.match(await ec2(keysIn(bare.Credentials), 'DescribeVpcs'), { code: 'UnauthorizedOperation' }, 'without a session policy nothing is allowed')
  const { Credentials: credentials } = await federate({ Policy: JSON.stringify(allowAll), DurationSeconds: 129_600 })
  const keys = keysIn(credentials)
  t.equal((await ec2(keys, 'DescribeVpcs')).status, 200)
  t.match(await sts(keys).send(new GetCallerIdentityCommand({})), { Arn: `arn:aws:sts::${home}:federated-user/bob`, UserId: `${home}:bob` })
  t.match(await iam(keys, 'ListUsers'), { status: 403, code: 'InvalidClientTokenId' })
  await t.rejects(assume(sts(keys), arn('Open')), { name: 'AccessDenied' })
  await t.rejects(federate({ Name: 'x'.repeat(33) }), refusal('ValidationError', 400, /'name' .* less than or equal to 32$/))
  await t.rejects(sts(keysOf('nobody')).send(new GetFederationTokenCommand({ Name: 'bob' })),
    refusal('AccessDenied', 403, /sts:GetFederationToken on resource: arn:aws:sts::111122223333:federated-user\/bob because no identity-based policy allows/))
  const session = keysIn((await assume(client, arn('Open'))).Credentials)
  await t.rejects(sts(session).send(new GetFederationTokenCommand({ Name: 'bob' })), refusal('AccessDenied', 403, 'Cannot call GetFederationToken with session credentials'))
})

t.test('GetSessionToken: the user again, without IAM unless a second factor was shown', async (t) => {
  const { client, sts, iam, emulator } = await start(t)
  const { Credentials: plain } = await client.send(new GetSessionTokenCommand({}))
  t.match(await sts(keysIn(plain)).send(new GetCallerIdentityCommand({})), { Arn: caller.AWS })
  t.match(await iam(keysIn(plain), 'ListUsers'), { code: 'InvalidClientTokenId' })
  await t.resolves(assume(sts(keysIn(plain)), arn('Open')))
  await t.rejects(sts(keysIn(plain)).send(new GetSessionTokenCommand({})), refusal('AccessDenied', 403, 'Cannot call GetSessionToken with session credentials'))
  await t.rejects(assume(sts(keysIn(plain)), arn('Open'), { DurationSeconds: 7200 }), { message: /role chaining/ })
  await t.rejects(assume(sts(keysIn(plain)), arn('Mfa', home)), { name: 'AccessDenied' })

  const SerialNumber = `arn:aws:iam::${home}:mfa/caller`
  const TokenCode = oneTimeCode(mfaSecret, Math.floor(emulator.clock.now() / 30_000))
  const wrong = TokenCode === '000000' ? '000001' : '000000'
  await t.rejects(client.send(new GetSessionTokenCommand({ SerialNumber, TokenCode: wrong })), refusal('AccessDenied', 403, 'MultiFactorAuthentication failed with invalid MFA one time pass code. '))
  await t.rejects(client.send(new GetSessionTokenCommand({ SerialNumber: `${SerialNumber}x`, TokenCode })), refusal('AccessDenied', 403, 'MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.'))
  const { Credentials: strong } = await client.send(new GetSessionTokenCommand({ SerialNumber, TokenCode }))
  t.equal((await iam(keysIn(strong), 'ListUsers')).status, 200)
  await t.resolves(assume(sts(keysIn(strong)), arn('Mfa', home)))
  await t.rejects(client.send(new GetSessionTokenCommand({ SerialNumber, TokenCode })), { message: /invalid MFA/ }, 'a code serves once')
})

t.test('the codes of a second factor are those of RFC 6238 appendix B', async (t) => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  t.equal(oneTimeCode(secret, Math.floor(59 / 30)), '287082')
  t.equal(oneTimeCode(secret, Math.floor(1111111109 / 30)), '081804')
  t.equal(oneTimeCode(secret, Math.floor(20000000000 / 30)), '353130')
})

t.test('GetAccessKeyInfo and DecodeAuthorizationMessage', async (t) => {
  const { client, ec2, sts, keysOf } = await start(t)
  const { Credentials: credentials } = await assume(client, arn('Open'), { Policy: JSON.stringify(assumeOnly) })
  t.match(await client.send(new GetAccessKeyInfoCommand({ AccessKeyId: credentials?.AccessKeyId })), { Account: away })
  t.match(await client.send(new GetAccessKeyInfoCommand({ AccessKeyId: keysOf('caller').accessKeyId })), { Account: home })
  await t.rejects(sts(keysOf('nobody')).send(new GetAccessKeyInfoCommand({ AccessKeyId: keysOf('caller').accessKeyId })),
    refusal('AccessDenied', 403, /perform: sts:GetAccessKeyInfo on resource: \* because no identity-based policy allows/))
  const refused = await ec2(keysIn(credentials), 'TerminateInstances', { 'InstanceId.1': 'i-0123456789abcdef0' })
  const encoded = /Encoded authorization failure message: ([\w-]+)$/.exec(refused.message ?? '')?.[1]
  const { Credentials: full } = await assume(client, arn('Open'))
  const decode = (EncodedMessage: string | undefined, by: STSClient) =>
    by.send(new DecodeAuthorizationMessageCommand({ EncodedMessage }))
  const { DecodedMessage: decoded } = await decode(encoded, sts(keysIn(full)))
  t.match(JSON.parse(decoded ?? ''), { allowed: false, explicitDeny: false, context: { action: 'ec2:TerminateInstances', resource: `arn:aws:ec2:us-east-1:${away}:instance/i-0123456789abcdef0` } })
  await t.rejects(decode('made-up', client), refusal('InvalidAuthorizationMessageException', 400, /./))
  await t.rejects(decode(encoded, client), refusal('InvalidAuthorizationMessageException', 400, 'Message is not valid'),
    'another account cannot read it')
})

t.test('regions: STS switched off, and regions nobody opted into', async (t) => {
  const { sts, keysOf } = await start(t)
  await t.rejects(assume(sts(keysOf('caller'), 'eu-west-3'), arn('Open')), refusal('RegionDisabledException', 403,
    `STS is not activated in this region for account:${away}. Your account administrator can activate STS in this region using the IAM Console.`))
  const inactive = sts(keysOf('stranger'), 'eu-west-3')
  await t.rejects(inactive.send(new GetSessionTokenCommand({})), refusal('RegionDisabledException', 403, `STS is not activated in this region for account:${away}`))
  await t.rejects(inactive.send(new GetFederationTokenCommand({ Name: 'bob' })), refusal('RegionDisabledException', 403, /./))
  t.match(await inactive.send(new GetCallerIdentityCommand({})), { Account: away }, 'which says nothing of the region')
  await t.rejects(assume(sts(keysOf('caller'), 'ap-east-1'), arn('Open')), refusal('InvalidClientTokenId', 403, /invalid/))
})

t.test('one session\'s parts do not work with another\'s, nor beyond their time', async (t) => {
  const { client, sts, emulator } = await start(t)
  const one = keysIn((await assume(client, arn('Open'))).Credentials)
  const two = keysIn((await assume(client, arn('Open'))).Credentials)
  const ask = (keys: Keys) => sts(keys).send(new GetCallerIdentityCommand({}))
  await t.rejects(ask({ ...one, sessionToken: two.sessionToken ?? '' }), { name: 'InvalidClientTokenId' })
  await t.rejects(ask({ ...one, secretAccessKey: two.secretAccessKey }), { name: 'SignatureDoesNotMatch' })
  await t.rejects(ask({ accessKeyId: one.accessKeyId, secretAccessKey: one.secretAccessKey }), { name: 'InvalidClientTokenId' })
  await t.resolves(ask(one))
  emulator.clock.advance(3_570_000)
  await t.resolves(ask(one))
  emulator.clock.advance(60_000)
  await t.rejects(ask(one), refusal('ExpiredToken', 403, 'The security token included in the request is expired'))
})

t.test('answers are as STS writes them', async (t) => {
  const { emulator, keysOf } = await start(t)
  const keys = keysOf('caller')
  const xml = await post(emulator.endpoint, keys, { Action: 'GetCallerIdentity', Version: '2011-06-15' })
  t.match(xml.text, /^<GetCallerIdentityResponse xmlns="https:\/\/sts\.amazonaws\.com\/doc\/2011-06-15\/"><GetCallerIdentityResult>.*<\/GetCallerIdentityResult><ResponseMetadata><RequestId>[0-9a-f-]{36}<\/RequestId><\/ResponseMetadata><\/GetCallerIdentityResponse>$/)
  t.equal(xml.headers.get('content-type'), 'text/xml')
  t.equal(xml.headers.get('x-amzn-requestid'), read(xml.text, 'RequestId'))
  t.equal(xml.headers.get('x-emulator'), 'not-aws')
  const body = 'Action=GetCallerIdentity&Version=2011-06-15'
  const headers = signedHeaders({
    method: 'POST',
    host: new URL(emulator.endpoint).host,
    target: '/',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body
  }, keys, { service: 'sts', region: 'us-east-1', nowMs: Date.now() })
  const json: unknown = await (await fetch(emulator.endpoint, { method: 'POST', headers, body })).json()
  t.match(json, { GetCallerIdentityResponse: { GetCallerIdentityResult: { Account: home }, ResponseMetadata: {} } })
  const unknown = await post(emulator.endpoint, keys, { Action: 'Sing', Version: '2011-06-15' })
  t.match(unknown, { status: 400, text: /^<ErrorResponse xmlns="https:\/\/sts\.amazonaws\.com\/doc\/2011-06-15\/"><Error><Type>Sender<\/Type><Code>InvalidAction<\/Code><Message>Could not find operation Sing for version 2011-06-15<\/Message><\/Error><RequestId>/ })
  t.match(await post(emulator.endpoint, keys, { Action: 'GetCallerIdentity', Version: '2012-01-01' }), { status: 400, text: /InvalidAction/ })
  t.match(await post(emulator.endpoint, keys, { Version: '2011-06-15' }), { status: 400, text: /MissingAction/ })
})

t.test('a limit of requests per second throttles each account alone', async (t) => {
  const { client, emulator }: Bench & { client: STSClient } = await start(t, { stsRequestsPerSecond: 3 })
  emulator.clock.freeze()
  const ask = () => client.send(new GetCallerIdentityCommand({}))
  for (let i = 0; i < 3; i++) await ask()
  await t.rejects(ask(), refusal('Throttling', 400, 'Rate exceeded'))
  emulator.clock.advance(400)
  await t.resolves(ask())
})
