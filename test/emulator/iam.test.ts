import t, { type Test } from 'tap'
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { allowAll, policy, read, startBench, trust, type Answer } from './helpers/start.ts'
import type { Keys } from './helpers/sign.ts'

const home = '111122223333'
const other = '444455556666'

const seed = {
  accounts: [
    {
      id: home,
      users: [
        { name: 'admin', accessKeys: [{}], policies: { all: allowAll } },
        { name: 'bounded', accessKeys: [{}], policies: { all: allowAll }, boundary: 'arn:aws:iam::aws:policy/IAMReadOnlyAccess' },
        { name: 'nobody', accessKeys: [{}] }
      ]
    },
    { id: other, users: [{ name: 'admin2', accessKeys: [{}], policies: { all: allowAll } }] }
  ]
}

const text = JSON.stringify
const describeVpcs = text(policy({ Effect: 'Allow', Action: 'ec2:DescribeVpcs', Resource: '*' }))
const trustHome = text(trust({ AWS: home }))

async function start (t: Test) {
  const bench = await startBench(t, { seed })
  const admin = bench.keysOf('admin')
  const call = (action: string, params: Record<string, string> = {}) => bench.iam(admin, action, params)
  const must = async (action: string, params: Record<string, string> = {}): Promise<Answer> => {
    const answer = await call(action, params)
    if (answer.status !== 200) throw new Error(`${action}: ${answer.code} ${answer.message}`)
    return answer
  }
  return { ...bench, admin, call, must }
}

const limit = (message: string | RegExp) => ({ status: 409, code: 'LimitExceeded', message })
const missing = (message: string) => ({ status: 404, code: 'NoSuchEntity', message })
const conflict = (message: string) => ({ status: 409, code: 'DeleteConflict', message })

t.test('a user with keys, groups and policies, made and unmade by calls', async (t) => {
  const { call, must, ec2, sts, emulator } = await start(t)
  const made = await must('CreateUser', { UserName: 'erin', Path: '/team/', 'Tags.member.1.Key': 'cost', 'Tags.member.1.Value': '7' })
  t.match(made.text, /<Arn>arn:aws:iam::111122223333:user\/team\/erin<\/Arn>/)
  t.match(await call('CreateUser', { UserName: 'Erin' }), { status: 409, code: 'EntityAlreadyExists', message: 'User with name Erin already exists.' })
  const key = await must('CreateAccessKey', { UserName: 'erin' })
  const keys: Keys = { accessKeyId: read(key.text, 'AccessKeyId') ?? '', secretAccessKey: read(key.text, 'SecretAccessKey') ?? '' }
  t.match(keys, { accessKeyId: /^AKIA[A-Z2-7]{16}$/, secretAccessKey: /^[\w+/]{40}$/ })
  await must('CreateAccessKey', { UserName: 'erin' })
  t.match(await call('CreateAccessKey', { UserName: 'erin' }), limit('Cannot exceed quota for AccessKeysPerUser: 2'))
  t.match(await sts(keys).send(new GetCallerIdentityCommand({})), { Arn: 'arn:aws:iam::111122223333:user/team/erin' })

  t.equal((await ec2(keys, 'DescribeVpcs')).status, 403)
  await must('PutUserPolicy', { UserName: 'erin', PolicyName: 'look', PolicyDocument: describeVpcs })
  t.equal((await ec2(keys, 'DescribeVpcs')).status, 200)
  t.equal(decodeURIComponent(read((await must('GetUserPolicy', { UserName: 'erin', PolicyName: 'look' })).text, 'PolicyDocument') ?? ''), describeVpcs)
  t.match((await must('ListUserPolicies', { UserName: 'erin' })).text, '<PolicyNames><member>look</member></PolicyNames>')

  await must('CreateGroup', { GroupName: 'ops' })
  await must('AttachGroupPolicy', { GroupName: 'ops', PolicyArn: 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess' })
  t.equal((await ec2(keys, 'DescribeRegions')).status, 403)
  await must('AddUserToGroup', { GroupName: 'ops', UserName: 'erin' })
  t.equal((await ec2(keys, 'DescribeRegions')).status, 200)
  t.match((await must('GetGroup', { GroupName: 'ops' })).text, '<UserName>erin</UserName>')
  t.match((await must('ListGroupsForUser', { UserName: 'erin' })).text, '<GroupName>ops</GroupName>')

  t.match(await call('DeleteUser', { UserName: 'erin' }), conflict('Cannot delete entity, must delete access keys first.'))
  await must('UpdateAccessKey', { UserName: 'erin', AccessKeyId: keys.accessKeyId, Status: 'Inactive' })
  await t.rejects(sts(keys).send(new GetCallerIdentityCommand({})), { name: 'InvalidClientTokenId' })
  const listed = (await must('ListAccessKeys', { UserName: 'erin' })).text
  t.notMatch(listed, 'SecretAccessKey')
  for (const [, id = ''] of listed.matchAll(/<AccessKeyId>(\w+)</g)) await must('DeleteAccessKey', { UserName: 'erin', AccessKeyId: id })
  t.match(await call('DeleteUser', { UserName: 'erin' }), conflict('Cannot delete entity, must delete policies first.'))
  await must('DeleteUserPolicy', { UserName: 'erin', PolicyName: 'look' })
  t.match(await call('DeleteUser', { UserName: 'erin' }), conflict('Cannot delete entity, must remove users from group first.'))
  await must('RemoveUserFromGroup', { GroupName: 'ops', UserName: 'erin' })
  await must('DeleteUser', { UserName: 'erin' })
  t.match(await call('GetUser', { UserName: 'erin' }), missing('The user with name erin cannot be found.'))
  t.equal(emulator.trail({ eventName: 'CreateAccessKey' }).length, 3)
  t.notMatch(text(emulator.trail()), keys.secretAccessKey, 'no secret in the trail')
})

t.test('a role deleted and made again does not inherit the trust that named it, nor its sessions', async (t) => {
  const { must, call, sts, admin } = await start(t)
  const { Role: broker } = { Role: await must('CreateRole', { RoleName: 'Broker', AssumeRolePolicyDocument: trustHome }) }
  await must('PutRolePolicy', { RoleName: 'Broker', PolicyName: 'assume', PolicyDocument: text(allowAll) })
  const brokerArn = read(broker.text, 'Arn') ?? ''
  await must('CreateRole', { RoleName: 'Target', AssumeRolePolicyDocument: text(trust({ AWS: brokerArn })) })
  const assume = async (keys: Keys, role: string): Promise<Keys> => {
    const { Credentials: made } = await sts(keys).send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${home}:role/${role}`, RoleSessionName: 'one' }))
    return { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '', sessionToken: made?.SessionToken ?? '' }
  }
  const before = await assume(admin, 'Broker')
  await t.resolves(assume(before, 'Target'))
  t.match(decodeURIComponent((await must('GetRole', { RoleName: 'Target' })).text), `"AWS":"${brokerArn}"`)

  await must('DeleteRolePolicy', { RoleName: 'Broker', PolicyName: 'assume' })
  await must('DeleteRole', { RoleName: 'Broker' })
  t.match(decodeURIComponent((await must('GetRole', { RoleName: 'Target' })).text), /"AWS":"AROA[A-Z2-7]{17}"/, 'AWS shows the bare id of one that is gone')
  const again = await must('CreateRole', { RoleName: 'Broker', AssumeRolePolicyDocument: trustHome })
  await must('PutRolePolicy', { RoleName: 'Broker', PolicyName: 'assume', PolicyDocument: text(allowAll) })
  t.not(read(again.text, 'RoleId'), read(broker.text, 'RoleId'))
  await t.rejects(assume(before, 'Target'), { name: 'InvalidClientTokenId' })
  await t.rejects(assume(await assume(admin, 'Broker'), 'Target'), { name: 'AccessDenied' })
  t.match(await call('CreateRole', { RoleName: 'Bad', AssumeRolePolicyDocument: text(trust({ AWS: `arn:aws:iam::${home}:role/Absent` })) }), {
    status: 400, code: 'MalformedPolicyDocument', message: `Invalid principal in policy: "AWS":"arn:aws:iam::${home}:role/Absent"`
  })
})

t.test('managed policies have five versions, the default one of which is in force', async (t) => {
  const { must, call, ec2, keysOf } = await start(t)
  const nobody = keysOf('nobody')
  const arn = read((await must('CreatePolicy', { PolicyName: 'net', Path: '/x/', PolicyDocument: describeVpcs })).text, 'Arn') ?? ''
  t.equal(arn, `arn:aws:iam::${home}:policy/x/net`)
  t.match(await call('CreatePolicy', { PolicyName: 'NET', PolicyDocument: describeVpcs }), { status: 409, code: 'EntityAlreadyExists', message: 'A policy called NET already exists. Duplicate names are not allowed.' })
  await must('AttachUserPolicy', { UserName: 'nobody', PolicyArn: arn })
  t.equal((await ec2(nobody, 'DescribeVpcs')).status, 200)
  const deny = text(policy({ Effect: 'Deny', Action: '*', Resource: '*' }))
  await must('CreatePolicyVersion', { PolicyArn: arn, PolicyDocument: deny })
  t.equal((await ec2(nobody, 'DescribeVpcs')).status, 200, 'not the default')
  await must('SetDefaultPolicyVersion', { PolicyArn: arn, VersionId: 'v2' })
  t.match(await ec2(nobody, 'DescribeVpcs'), { status: 403, message: /with an explicit deny in an identity-based policy$/ })
  for (let i = 0; i < 3; i++) await must('CreatePolicyVersion', { PolicyArn: arn, PolicyDocument: describeVpcs, SetAsDefault: 'true' })
  t.match(await call('CreatePolicyVersion', { PolicyArn: arn, PolicyDocument: describeVpcs }), limit('A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.'))
  t.match(await call('DeletePolicyVersion', { PolicyArn: arn, VersionId: 'v5' }), conflict('Cannot delete the default version of a policy.'))
  await must('DeletePolicyVersion', { PolicyArn: arn, VersionId: 'v1' })
  t.match((await must('CreatePolicyVersion', { PolicyArn: arn, PolicyDocument: describeVpcs })).text, '<VersionId>v6</VersionId>', 'ids are not used twice')
  t.match((await must('ListPolicyVersions', { PolicyArn: arn })).text, /v6.*v5.*v4.*v3.*v2/)
  t.equal(decodeURIComponent(read((await must('GetPolicyVersion', { PolicyArn: arn, VersionId: 'v5' })).text, 'Document') ?? ''), describeVpcs)
  t.match((await must('ListEntitiesForPolicy', { PolicyArn: arn, PolicyUsageFilter: 'PermissionsPolicy' })).text, '<UserName>nobody</UserName>')
  t.notMatch((await must('ListEntitiesForPolicy', { PolicyArn: arn, PolicyUsageFilter: 'PermissionsBoundary' })).text, 'nobody')
  t.match(await call('DeletePolicy', { PolicyArn: arn }), conflict('Cannot delete a policy attached to entities.'))
  await must('DetachUserPolicy', { UserName: 'nobody', PolicyArn: arn })
  t.match(await call('DetachUserPolicy', { UserName: 'nobody', PolicyArn: arn }), missing(`Policy ${arn} was not found.`))
  t.match(await call('DeletePolicy', { PolicyArn: arn }), { code: 'DeleteConflict', message: /more than one version/ })
  t.match(await call('AttachUserPolicy', { UserName: 'nobody', PolicyArn: `${arn}x` }), missing(`Policy ${arn}x does not exist or is not attachable.`))
})

t.test('sizes have AWS\'s limits, white space not counted', async (t) => {
  const { must, call } = await start(t)
  await must('CreateRole', { RoleName: 'R', AssumeRolePolicyDocument: trustHome })
  await must('CreateUser', { UserName: 'u' })
  const sized = (characters: number) => {
    const empty = text(policy({ Sid: '', Effect: 'Allow', Action: 'ec2:*', Resource: '*' }))
    return empty.replace('"Sid":""', `"Sid":"${'s'.repeat(characters - empty.length)}"`).replaceAll(',', ' ,  \n ')
  }
  await must('PutRolePolicy', { RoleName: 'R', PolicyName: 'a', PolicyDocument: sized(10_240) })
  t.match(await call('PutRolePolicy', { RoleName: 'R', PolicyName: 'a', PolicyDocument: sized(10_241) }), limit('Maximum policy size of 10240 bytes exceeded for role R'))
  t.match(await call('PutRolePolicy', { RoleName: 'R', PolicyName: 'b', PolicyDocument: sized(200) }), limit(/10240/), 'all inline policies together')
  t.match(await call('PutUserPolicy', { UserName: 'u', PolicyName: 'a', PolicyDocument: sized(2049) }), limit('Maximum policy size of 2048 bytes exceeded for user u'))
  t.match(await call('CreatePolicy', { PolicyName: 'p', PolicyDocument: sized(6145) }), limit('Cannot exceed quota for PolicySize: 6144'))
  await must('CreatePolicy', { PolicyName: 'p', PolicyDocument: sized(6144) })
  const longTrust = text(trust({ AWS: home }, { StringEquals: { 'sts:ExternalId': ['x'.repeat(1100), 'y'.repeat(1100)] } }))
  t.match(await call('UpdateAssumeRolePolicy', { RoleName: 'R', PolicyDocument: longTrust }), limit('Cannot exceed quota for ACLSizePerRole: 2048'))
  t.match(await call('PutRolePolicy', { RoleName: 'R', PolicyName: 'c', PolicyDocument: '{' }), { status: 400, code: 'MalformedPolicyDocument' })
  t.match(await call('PutRolePolicy', { RoleName: 'no such', PolicyName: '', PolicyDocument: '' }), { status: 400, code: 'ValidationError', message: /^5 validation errors detected: / })
})

t.test('a boundary cuts what identity policies give; a list of denied sessions in it denies only those', async (t) => {
  const { must, sts, ec2, admin, iam, keysOf, emulator } = await start(t)
  t.match(await iam(keysOf('bounded'), 'CreateUser', { UserName: 'x' }), { status: 403, message: /because no permissions boundary allows the iam:CreateUser action$/ })
  t.equal((await iam(keysOf('bounded'), 'ListUsers')).status, 200)

  const ceiling = { Sid: 'Ceiling', Effect: 'Allow', Action: '*', Resource: '*' }
  const arn = read((await must('CreatePolicy', { PolicyName: 'ceiling', PolicyDocument: text(policy([ceiling])) })).text, 'Arn') ?? ''
  await must('CreateRole', { RoleName: 'Vended', AssumeRolePolicyDocument: trustHome, PermissionsBoundary: arn })
  await must('PutRolePolicy', { RoleName: 'Vended', PolicyName: 'all', PolicyDocument: text(allowAll) })
  const vend = async (name: string) => {
    const { Credentials: made, AssumedRoleUser: user } = await sts(admin).send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${home}:role/Vended`, RoleSessionName: name }))
    return { id: user?.AssumedRoleId ?? '', keys: { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '', sessionToken: made?.SessionToken ?? '' } }
  }
  const one = await vend('run-1.aaaa')
  const two = await vend('run-1.bbbb')
  const three = await vend('run-2.cccc')
  const statuses = async () => Promise.all([one, two, three].map(async ({ keys }) => (await ec2(keys, 'DescribeRegions')).status))
  const rewrite = (statement: object) => must('CreatePolicyVersion', { PolicyArn: arn, SetAsDefault: 'true', PolicyDocument: text(policy([ceiling, { Effect: 'Deny', Action: '*', Resource: '*', ...statement }])) })
  t.strictSame(await statuses(), [200, 200, 200])
  await rewrite({ Condition: { StringEquals: { 'aws:userid': [one.id] } } })
  t.strictSame(await statuses(), [403, 200, 200], 'one session')
  t.match((await ec2(one.keys, 'DescribeRegions')).message, /with an explicit deny in a permissions boundary$/)
  await t.resolves(sts(one.keys).send(new GetCallerIdentityCommand({})), 'GetCallerIdentity survives')
  await rewrite({ Condition: { StringLike: { 'aws:userid': [`${one.id.split(':')[0]}:run-1.*`] } } })
  t.strictSame(await statuses(), [403, 403, 200], 'one run')
  await rewrite({ Condition: { DateLessThan: { 'aws:TokenIssueTime': new Date(emulator.clock.now() + 1000).toISOString() } } })
  t.strictSame(await statuses(), [403, 403, 403], 'everything issued until now')
  emulator.clock.advance(5000)
  t.equal((await ec2((await vend('later')).keys, 'DescribeRegions')).status, 200)
})

t.test('rights are asked for before anything is told', async (t) => {
  const { iam, keysOf } = await start(t)
  const nobody = keysOf('nobody')
  t.match(await iam(nobody, 'GetRole', { RoleName: 'Absent' }), { status: 403, code: 'AccessDenied', message: `User: arn:aws:iam::${home}:user/nobody is not authorized to perform: iam:GetRole on resource: arn:aws:iam::${home}:role/Absent because no identity-based policy allows the iam:GetRole action` })
  t.match(await iam(nobody, 'ListUsers'), { message: /on resource: arn:aws:iam::111122223333:user\/ because/ })
  t.match(await iam(keysOf('admin2'), 'GetUser', { UserName: 'admin' }), { status: 404, code: 'NoSuchEntity' }, 'accounts do not see each other')
})

t.test('SimulatePrincipalPolicy says what the policies of a principal say', async (t) => {
  const { must, call } = await start(t)
  const ask = async (name: string, action: string) => read((await must('SimulatePrincipalPolicy', {
    PolicySourceArn: `arn:aws:iam::${home}:user/${name}`, 'ActionNames.member.1': action
  })).text, 'EvalDecision')
  t.equal(await ask('admin', 'sts:AssumeRole'), 'allowed')
  t.equal(await ask('bounded', 'sts:AssumeRole'), 'implicitDeny')
  t.equal(await ask('bounded', 'iam:ListUsers'), 'allowed')
  await must('PutUserPolicy', { UserName: 'nobody', PolicyName: 'no', PolicyDocument: text(policy({ Effect: 'Deny', Action: '*', Resource: '*' })) })
  t.equal(await ask('nobody', 'sts:AssumeRole'), 'explicitDeny')
  t.match(await call('SimulatePrincipalPolicy', { PolicySourceArn: `arn:aws:iam::${home}:user/absent`, 'ActionNames.member.1': 'a:b' }), { code: 'NoSuchEntity' })
})

t.test('lists come in pages', async (t) => {
  const { must, call } = await start(t)
  for (let i = 0; i < 5; i++) await must('CreateUser', { UserName: `u${i}`, Path: '/many/' })
  const names: string[] = []
  let marker: string | null = null
  do {
    const page: Answer = await must('ListUsers', { PathPrefix: '/many/', MaxItems: '2', ...(marker === null ? {} : { Marker: marker }) })
    names.push(...[...page.text.matchAll(/<UserName>(\w+)</g)].map(([, name = '']) => name))
    t.equal(read(page.text, 'IsTruncated'), String(names.length < 5))
    marker = read(page.text, 'Marker')
  } while (marker !== null)
  t.strictSame(names, ['u0', 'u1', 'u2', 'u3', 'u4'])
  t.match(await call('ListUsers', { Marker: 'x' }), { status: 400, code: 'ValidationError' })
})

t.test('instance profiles carry a role to EC2 only for those who may pass it', async (t) => {
  const { must, ec2, admin, keysOf } = await start(t)
  await must('CreateRole', { RoleName: 'Node', AssumeRolePolicyDocument: text(trust({ Service: 'ec2.amazonaws.com' })) })
  await must('CreateInstanceProfile', { InstanceProfileName: 'node' })
  await must('AddRoleToInstanceProfile', { InstanceProfileName: 'node', RoleName: 'Node' })
  await must('PutUserPolicy', { UserName: 'nobody', PolicyName: 'ec2', PolicyDocument: text(policy({ Effect: 'Allow', Action: 'ec2:*', Resource: '*' })) })
  const launch = { ImageId: 'ami-0123456789abcdef0', InstanceType: 't3.micro', MinCount: '1', MaxCount: '1', 'IamInstanceProfile.Name': 'node' }
  t.match(await ec2(keysOf('nobody'), 'RunInstances', launch), { status: 403, message: /iam:PassRole on resource: arn:aws:iam::111122223333:role\/Node/ })
  t.match((await ec2(admin, 'RunInstances', launch)).text, 'instance-profile/node')
})

t.test('what is made with tags needs the right to tag', async (t) => {
  const { must, iam, keysOf } = await start(t)
  await must('PutUserPolicy', { UserName: 'nobody', PolicyName: 'make', PolicyDocument: text(policy({ Effect: 'Allow', Action: 'iam:Create*', Resource: '*' })) })
  const tags = { 'Tags.member.1.Key': 'team', 'Tags.member.1.Value': 'a' }
  const made: [string, string, Record<string, string>][] = [
    ['CreateUser', 'iam:TagUser', { UserName: 'frank' }],
    ['CreateRole', 'iam:TagRole', { RoleName: 'Tagged', AssumeRolePolicyDocument: trustHome }],
    ['CreatePolicy', 'iam:TagPolicy', { PolicyName: 'tagged', PolicyDocument: describeVpcs }],
    ['CreateInstanceProfile', 'iam:TagInstanceProfile', { InstanceProfileName: 'tagged' }],
    ['CreateOpenIDConnectProvider', 'iam:TagOpenIDConnectProvider', { Url: 'https://issuer.example' }]
  ]
  for (const [action, right, params] of made) {
    t.match(await iam(keysOf('nobody'), action, { ...params, ...tags }), { status: 403, message: new RegExp(`perform: ${right} on`) })
    t.equal((await iam(keysOf('nobody'), action, params)).status, 200, `${action} without tags`)
  }
})

t.test('policies, instance profiles and providers keep their tags', async (t) => {
  const { must, call } = await start(t)
  await must('CreatePolicy', { PolicyName: 'p', PolicyDocument: describeVpcs })
  await must('CreateInstanceProfile', { InstanceProfileName: 'ip' })
  await must('CreateOpenIDConnectProvider', { Url: 'https://issuer.example' })
  const tags = { 'Tags.member.1.Key': 'team', 'Tags.member.1.Value': 'a' }
  const tagged: [string, Record<string, string>][] = [
    ['Policy', { PolicyArn: `arn:aws:iam::${home}:policy/p` }],
    ['InstanceProfile', { InstanceProfileName: 'ip' }],
    ['OpenIDConnectProvider', { OpenIDConnectProviderArn: `arn:aws:iam::${home}:oidc-provider/issuer.example` }]
  ]
  for (const [word, id] of tagged) {
    await must(`Tag${word}`, { ...id, ...tags })
    t.match((await must(`List${word}Tags`, id)).text, '<Key>team</Key><Value>a</Value>')
    t.match((await must(`Get${word}`, id)).text, '<Key>team</Key><Value>a</Value>')
    await must(`Untag${word}`, { ...id, 'TagKeys.member.1': 'TEAM' })
    t.match((await must(`List${word}Tags`, id)).text, '<Tags></Tags>')
  }
  t.match(await call('TagUser', { UserName: 'admin', ...tags, 'Tags.member.2.Key': 'Team', 'Tags.member.2.Value': '' }),
    { status: 400, code: 'InvalidInput', message: 'Duplicate tag keys found. Please note that Tag keys are case insensitive.' })
  t.match(await call('TagUser', { UserName: 'admin', 'Tags.member.1.Key': 'aws:x', 'Tags.member.1.Value': '' }), { status: 400, code: 'InvalidInput' })
})

t.test('an ARN in another spelling names nothing, so a deny on it is not evaded', async (t) => {
  const { must, call, iam, keysOf } = await start(t)
  await must('CreatePolicy', { PolicyName: 'Admin', PolicyDocument: text(allowAll) })
  await must('CreateOpenIDConnectProvider', { Url: 'https://issuer.example' })
  const exact = `arn:aws:iam::${home}:policy/Admin`
  await must('PutUserPolicy', { UserName: 'nobody', PolicyName: 'most', PolicyDocument: text(policy([
    { Effect: 'Allow', Action: 'iam:*', Resource: '*' },
    { Effect: 'Deny', Action: 'iam:*', Resource: [exact, `arn:aws:iam::${home}:oidc-provider/issuer.example`] },
    { Effect: 'Deny', Action: 'iam:AttachUserPolicy', Resource: '*', Condition: { ArnEquals: { 'iam:PolicyARN': exact } } }
  ])) })
  const other = `arn:aws:iam::${home}:policy/ADMIN`
  const asNobody = (action: string, params: Record<string, string>) => iam(keysOf('nobody'), action, params)
  t.match(await asNobody('AttachUserPolicy', { UserName: 'nobody', PolicyArn: exact }), { status: 403 })
  t.match(await asNobody('AttachUserPolicy', { UserName: 'nobody', PolicyArn: other }), { status: 404 })
  t.match(await asNobody('GetPolicy', { PolicyArn: other }), { status: 404 })
  t.match(await asNobody('CreatePolicyVersion', { PolicyArn: other, PolicyDocument: describeVpcs }), { status: 404 })
  t.match(await asNobody('DeleteOpenIDConnectProvider', { OpenIDConnectProviderArn: `arn:aws:iam::${home}:oidc-provider/ISSUER.example` }), { status: 404 })
  t.match(await call('PutUserPermissionsBoundary', { UserName: 'admin', PermissionsBoundary: other }), { status: 404 })
})

t.test('a user keeps id, keys and trust under another name', async (t) => {
  const { must, call, iam, sts, keysOf } = await start(t)
  await must('CreateRole', { RoleName: 'ForNobody', AssumeRolePolicyDocument: text(trust({ AWS: `arn:aws:iam::${home}:user/nobody` })) })
  await must('UpdateUser', { UserName: 'nobody', NewUserName: 'somebody', NewPath: '/new/' })
  const client = sts(keysOf('nobody'))
  t.match(await client.send(new GetCallerIdentityCommand({})), { Arn: `arn:aws:iam::${home}:user/new/somebody` })
  t.match(await client.send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${home}:role/ForNobody`, RoleSessionName: 'ss' })), { Credentials: {} })
  t.match(await call('GetUser', { UserName: 'nobody' }), missing('The user with name nobody cannot be found.'))
  t.match(await call('UpdateUser', { UserName: 'somebody', NewUserName: 'ADMIN' }), { status: 409, code: 'EntityAlreadyExists' })
  await must('PutUserPolicy', { UserName: 'somebody', PolicyName: 'own', PolicyDocument: text(policy({ Effect: 'Allow', Action: 'iam:UpdateUser', Resource: `arn:aws:iam::${home}:user/new/*` })) })
  t.match(await iam(keysOf('nobody'), 'UpdateUser', { UserName: 'somebody', NewPath: '/else/' }), { status: 403, message: /user\/else\/somebody/ }, 'a right on both names is needed')
})

t.test('SimulateCustomPolicy says what the policies of the request say', async (t) => {
  const { must, call } = await start(t)
  const ask = { 'ActionNames.member.1': 'ec2:DescribeVpcs', 'ActionNames.member.2': 'ec2:RunInstances', 'PolicyInputList.member.1': describeVpcs }
  const decisions = ({ text: xml }: Answer) => [...xml.matchAll(/<EvalDecision>(\w+)</g)].map(([, word]) => word)
  t.same(decisions(await must('SimulateCustomPolicy', ask)), ['allowed', 'implicitDeny'])
  const bounded = { ...ask, 'PermissionsBoundaryPolicyInputList.member.1': text(policy({ Effect: 'Deny', Action: 'ec2:*', Resource: '*' })) }
  t.same(decisions(await must('SimulateCustomPolicy', bounded)), ['explicitDeny', 'explicitDeny'])
  t.match(await call('SimulateCustomPolicy', { 'ActionNames.member.1': 'ec2:DescribeVpcs' }), { status: 400, code: 'ValidationError' })
})

t.test('clients find the empty result of UpdateRole, and the role of UpdateRoleDescription', async (t) => {
  const { must } = await start(t)
  await must('CreateRole', { RoleName: 'R', AssumeRolePolicyDocument: trustHome })
  t.match((await must('UpdateRole', { RoleName: 'R', MaxSessionDuration: '7200' })).text, '<UpdateRoleResult></UpdateRoleResult>')
  t.match((await must('UpdateRoleDescription', { RoleName: 'R', Description: 'new' })).text, /<Role>.*<Description>new<\/Description>/)
})
