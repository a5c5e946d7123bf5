import t, { type Test } from 'tap'
import { allowAll, policy, read, startBench, type Answer } from './helpers/start.ts'
import type { Keys } from './helpers/sign.ts'

const account = '111122223333'
const image = 'ami-0123456789abcdef0'
const launch = { ImageId: image, MinCount: '1', MaxCount: '1' }

const seed = {
  accounts: [
    {
      id: account,
      users: [
        { name: 'admin', accessKeys: [{}], policies: { all: allowAll } },
        { name: 'nobody', accessKeys: [{}] },
        { name: 'launcher', accessKeys: [{}], policies: { run: policy({ Effect: 'Allow', Action: 'ec2:RunInstances', Resource: '*' }) } }
      ]
    },
    { id: '444455556666', users: [{ name: 'stranger', accessKeys: [{}], policies: { all: allowAll } }] }
  ]
}

async function start (t: Test) {
  const bench = await startBench(t, { seed })
  const admin = bench.keysOf('admin')
  const call = (action: string, params: Record<string, string> = {}, keys: Keys = admin) => bench.ec2(keys, action, params)
  const made = async (params: Record<string, string> = {}): Promise<string> =>
    read((await call('RunInstances', { ...launch, ...params })).text, 'instanceId') ?? ''
  return { ...bench, call, made }
}

const refused = (code: string, message: string | RegExp, status = 400) => ({ status, code, message })
const count = ({ text }: Answer, name: string) => text.split(`<${name}>`).length - 1

t.test('RunInstances refuses what EC2 refuses, in its words', async (t) => {
  const { call } = await start(t)
  const run = (params: Record<string, string>) => call('RunInstances', params)
  t.match(await run({ MinCount: '1', MaxCount: '1' }), refused('MissingParameter', 'The request must contain the parameter ImageId'))
  t.match(await run({ ImageId: image, MaxCount: '1' }), refused('MissingParameter', 'The request must contain the parameter MinCount'))
  t.match(await run({ ImageId: image, MinCount: '1' }), refused('MissingParameter', 'The request must contain the parameter MaxCount'))
  t.match(await run({ ...launch, MinCount: '0' }), refused('InvalidParameterValue', /minCount/))
  t.match(await run({ ...launch, MinCount: '2' }), refused('InvalidParameterValue', /maxCount/))
  t.match(await run({ ...launch, MinCount: '21', MaxCount: '21' }), refused('InstanceLimitExceeded', /limit/))
  t.match(await run({ ...launch, ImageId: 'foo' }), refused('InvalidAMIID.Malformed', 'Invalid id: "foo"'))
  t.match(await run({ ...launch, InstanceType: 'zz.big' }), refused('InvalidParameterValue', 'Invalid value \'zz.big\' for InstanceType.'))
  t.match(await run({ ...launch, SubnetId: 'subnet-0123456789abcdef0' }), refused('InvalidSubnetID.NotFound', 'The subnet ID \'subnet-0123456789abcdef0\' does not exist'))
  t.match(await run({ ...launch, 'SecurityGroupId.1': 'sg-0123456789abcdef0' }), refused('InvalidGroup.NotFound', 'The security group \'sg-0123456789abcdef0\' does not exist'))
  t.match(await run({ ...launch, 'TagSpecification.1.ResourceType': 'vpc' }), refused('InvalidParameterValue', /'vpc' is not a valid taggable resource type/))
  t.match(await call('DescribeInstances'), { text: /<reservationSet><\/reservationSet>/ }, 'none of them made anything')
  t.match((await run(launch)).text, '<instanceType>m1.small</instanceType>', 'the type of one that names none')
})

t.test('a client token makes one launch, and no other request may use it', async (t) => {
  const { call, made } = await start(t)
  const one = await made({ ClientToken: 'run-1' })
  t.equal(await made({ ClientToken: 'run-1' }), one)
  t.match(await call('RunInstances', { ...launch, ClientToken: 'run-1', InstanceType: 't3.micro' }), refused('IdempotentParameterMismatch', /inconsistent/))
})

t.test('a root volume is as it was asked for, and grows', async (t) => {
  const { call, made } = await start(t)
  const device = 'BlockDeviceMapping.1'
  await made({ [`${device}.DeviceName`]: '/dev/xvda', [`${device}.Ebs.VolumeSize`]: '20', [`${device}.Ebs.VolumeType`]: 'io1', [`${device}.Ebs.Iops`]: '200', [`${device}.Ebs.Encrypted`]: 'true' })
  const volumes = (await call('DescribeVolumes')).text
  t.match(volumes, /<size>20<\/size>.*<volumeType>io1<\/volumeType><iops>200<\/iops><encrypted>true<\/encrypted>/)
  const VolumeId = read(volumes, 'volumeId') ?? ''
  t.match(await call('ModifyVolume', { VolumeId, Size: '10' }), refused('InvalidParameterValue', 'New size cannot be smaller than existing size'))
  t.equal((await call('ModifyVolume', { VolumeId, Size: '30', VolumeType: 'gp3' })).status, 200)
  t.match((await call('DescribeVolumes', { 'VolumeId.1': VolumeId })).text, /<size>30<\/size>.*<volumeType>gp3<\/volumeType><iops>3000<\/iops>/)
  t.match((await call('DescribeVolumesModifications', { 'VolumeId.1': VolumeId })).text, '<modificationState>completed</modificationState>')
})

t.test('pages of instances hold 5 to 1,000, and are not for lists of ids', async (t) => {
  const { call, made } = await start(t)
  const ids = await Promise.all(Array.from({ length: 7 }, () => made()))
  const page = (params: Record<string, string>) => call('DescribeInstances', params)
  t.match(await page({ MaxResults: '4' }), refused('InvalidParameterValue', 'Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.'))
  t.match(await page({ MaxResults: '1001' }), refused('InvalidParameterValue', /1001/))
  t.match(await page({ MaxResults: '5', 'InstanceId.1': ids[0] ?? '' }), refused('InvalidParameterCombination', 'The parameter instancesSet cannot be used with the parameter maxResults'))
  const first = await page({ MaxResults: '5' })
  const second = await page({ MaxResults: '5', NextToken: read(first.text, 'nextToken') ?? '' })
  t.same([count(first, 'instanceId'), count(second, 'instanceId'), read(second.text, 'nextToken')], [5, 2, null])
})

t.test('a filter that does not exist is refused, also when there is nothing to filter', async (t) => {
  const { call } = await start(t)
  const filter = { 'Filter.1.Name': 'nope', 'Filter.1.Value.1': 'x' }
  for (const action of ['DescribeInstances', 'DescribeVolumes', 'DescribeVpcs', 'DescribeRegions', 'DescribeImages']) {
    t.match(await call(action, filter), refused('InvalidParameterValue', 'The filter \'nope\' is invalid'), action)
  }
  const regions = await call('DescribeRegions', { 'Filter.1.Name': 'region-name', 'Filter.1.Value.1': 'eu-west-?' })
  t.equal(count(regions, 'regionName'), 3)
})

t.test('images are found by owner and name, and one asked for by id exists', async (t) => {
  const { call } = await start(t)
  const found = await call('DescribeImages', { 'Owner.1': 'amazon', 'Filter.1.Name': 'name', 'Filter.1.Value.1': 'al2023-ami-*-x86_64' })
  t.equal(count(found, 'imageId'), 1)
  t.match(read(found.text, 'name'), /^al2023-ami-.*-x86_64$/)
  t.equal(count(await call('DescribeImages', { 'Owner.1': '123456789012' }), 'imageId'), 0)
  t.equal(read((await call('DescribeImages', { 'ImageId.1': image })).text, 'imageId'), image)
})

t.test('tags go to what exists, all or none', async (t) => {
  const { call, made, keysOf } = await start(t)
  const id = await made()
  const tag = { 'Tag.1.Key': 'a', 'Tag.1.Value': 'b' }
  t.match(await call('CreateTags', { 'ResourceId.1': id, 'ResourceId.2': 'i-0123456789abcdef0', ...tag }), refused('InvalidInstanceID.NotFound', 'The instance ID \'i-0123456789abcdef0\' does not exist'))
  t.match(await call('CreateTags', { 'ResourceId.1': 'zzz', ...tag }), refused('InvalidID', 'The ID \'zzz\' is not valid'))
  t.match(await call('CreateTags', { 'ResourceId.1': id }), refused('MissingParameter', 'The request must contain the parameter Tag'))
  t.equal(count(await call('DescribeTags'), 'key'), 0)
  t.equal((await call('CreateTags', { 'ResourceId.1': id, ...tag })).status, 200)
  t.equal(count(await call('DescribeTags'), 'key'), 1)
  t.match(await call('CreateTags', { 'ResourceId.1': id, ...tag }, keysOf('stranger')), refused('InvalidInstanceID.NotFound', /does not exist/), 'an id of another account')
})

t.test('a rehearsed change of an instance changes nothing, and a running one keeps its type', async (t) => {
  const { call, made } = await start(t)
  const InstanceId = await made({ InstanceType: 't3.micro' })
  const protect = { InstanceId, 'DisableApiTermination.Value': 'true' }
  t.match(await call('ModifyInstanceAttribute', { ...protect, DryRun: 'true' }), refused('DryRunOperation', /DryRun/, 412))
  const resize = { InstanceId, 'InstanceType.Value': 't3.small' }
  t.match(await call('ModifyInstanceAttribute', resize), refused('IncorrectInstanceState', `The instance '${InstanceId}' is not in the 'stopped' state.`))
  t.equal((await call('StopInstances', { 'InstanceId.1': InstanceId })).status, 200)
  t.equal((await call('ModifyInstanceAttribute', resize)).status, 200)
  t.equal((await call('TerminateInstances', { 'InstanceId.1': InstanceId })).status, 200, 'it was never protected')
})

t.test('a right to launch is no right to tag', async (t) => {
  const { call, keysOf } = await start(t)
  const tagged = { ...launch, 'TagSpecification.1.ResourceType': 'instance', 'TagSpecification.1.Tag.1.Key': 'a', 'TagSpecification.1.Tag.1.Value': 'b' }
  t.equal((await call('RunInstances', launch, keysOf('launcher'))).status, 200)
  t.match(await call('RunInstances', tagged, keysOf('launcher')), refused('UnauthorizedOperation', /ec2:CreateTags/, 403))
})

t.test('a profile is given to an instance, exchanged and taken, by those who may pass its role', async (t) => {
  const { call, made, iam, keysOf } = await start(t)
  const admin = keysOf('admin')
  const document = (statement: object) => JSON.stringify(policy(statement))
  for (const name of ['One', 'Two']) {
    await iam(admin, 'CreateRole', { RoleName: name, AssumeRolePolicyDocument: document({ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }) })
    await iam(admin, 'CreateInstanceProfile', { InstanceProfileName: name })
    await iam(admin, 'AddRoleToInstanceProfile', { InstanceProfileName: name, RoleName: name })
  }
  const InstanceId = await made()
  const profile = (name: string) => ({ 'IamInstanceProfile.Name': name })
  const given = await call('AssociateIamInstanceProfile', { InstanceId, ...profile('One') })
  const AssociationId = read(given.text, 'associationId') ?? ''
  t.match(await call('AssociateIamInstanceProfile', { InstanceId, ...profile('Two') }), refused('IncorrectState', /existing association/))
  await iam(admin, 'PutUserPolicy', { UserName: 'launcher', PolicyName: 'ec2', PolicyDocument: document({ Effect: 'Allow', Action: 'ec2:*', Resource: '*' }) })
  const exchange = { AssociationId, ...profile('Two') }
  t.match(await call('ReplaceIamInstanceProfileAssociation', exchange, keysOf('launcher')), refused('UnauthorizedOperation', /iam:PassRole/, 403))
  t.equal((await call('ReplaceIamInstanceProfileAssociation', exchange)).status, 200)
  t.match((await call('DescribeIamInstanceProfileAssociations', { 'Filter.1.Name': 'instance-id', 'Filter.1.Value.1': InstanceId })).text, 'instance-profile/Two')
  t.equal((await call('DisassociateIamInstanceProfile', { AssociationId }, keysOf('launcher'))).status, 200)
  t.match(await call('DisassociateIamInstanceProfile', { AssociationId }), refused('InvalidAssociationID.NotFound', /association-id/))
  t.equal(count(await call('DescribeIamInstanceProfileAssociations'), 'associationId'), 0)
})

t.test('no operation of EC2 answers without a right of its own', async (t) => {
  const { call, keysOf } = await start(t)
  const one = { InstanceId: 'i-0123456789abcdef0', VolumeId: 'vol-0123456789abcdef0', VpcId: 'vpc-0123456789abcdef0' }
  const lists = { 'InstanceCreditSpecification.1.InstanceId': one.InstanceId, 'InstanceId.1': one.InstanceId, 'ResourceId.1': one.InstanceId, 'Tag.1.Key': 'a', ...launch }
  for (const action of [
    'DescribeVpcs', 'DescribeSubnets', 'DescribeSecurityGroups', 'DescribeAvailabilityZones', 'DescribeRouteTables',
    'DescribeInternetGateways', 'DescribeNetworkAcls', 'DescribeDhcpOptions', 'DescribeKeyPairs', 'DescribeVpcAttribute',
    'DescribeAccountAttributes', 'DescribeRegions', 'DescribeImages', 'DescribeVolumes', 'DescribeVolumesModifications',
    'DescribeInstances', 'DescribeInstanceStatus', 'DescribeInstanceTypes', 'DescribeInstanceAttribute', 'DescribeTags',
    'DescribeInstanceCreditSpecifications', 'ModifyVolume', 'ModifyInstanceAttribute', 'ModifyInstanceMetadataOptions',
    'RunInstances', 'TerminateInstances', 'StopInstances', 'StartInstances', 'MonitorInstances', 'UnmonitorInstances',
    'CreateTags', 'DeleteTags', 'ModifyInstanceCreditSpecification', 'DescribeIamInstanceProfileAssociations',
    'AssociateIamInstanceProfile', 'ReplaceIamInstanceProfileAssociation', 'DisassociateIamInstanceProfile'
  ]) {
    t.match(await call(action, { ...one, ...lists }, keysOf('nobody')), { status: 403, code: 'UnauthorizedOperation' }, action)
  }
  t.match(await call('DescribeNothing'), refused('InvalidAction', 'The action DescribeNothing is not valid for this web service.'))
})
