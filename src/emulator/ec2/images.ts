import { AwsError } from '../aws-error.ts'
import type { Operation } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import { pageOf, passesFilters, readFilters, type Ec2Gate, type Facets } from './query.ts'

/** One machine image. */
interface Image {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly ownerId: string
  readonly ownerAlias: string | null
  readonly architecture: 'x86_64' | 'arm64'
  readonly createdAt: string
}

export const imageIdPattern = /^ami-(?:[0-9a-f]{8}|[0-9a-f]{17})$/

/** Every image's root device. */
export const rootDeviceName = '/dev/xvda'

/** The size of a root volume for which the launch asks none, GiB. */
export const rootVolumeGib = 8

const amazon = { ownerId: '137112412989', ownerAlias: 'amazon' } as const
const canonical = { ownerId: '099720109477', ownerAlias: null } as const

/** Images that a search finds. Names have the form of the real ones. */
const catalogue: readonly Image[] = [
  {
    ...amazon, id: 'ami-0abcdef1234567890', name: 'al2023-ami-2023.9.20260105.0-kernel-6.1-x86_64', description: 'Amazon Linux 2023 AMI x86_64 HVM kernel-6.1', architecture: 'x86_64', createdAt: '2026-01-05T00:00:00.000Z'
  },
  {
    ...amazon, id: 'ami-0abcdef1234567891', name: 'al2023-ami-2023.9.20260105.0-kernel-6.1-arm64', description: 'Amazon Linux 2023 AMI arm64 HVM kernel-6.1', architecture: 'arm64', createdAt: '2026-01-05T00:00:00.000Z'
  },
  {
    ...amazon, id: 'ami-0abcdef1234567892', name: 'amzn2-ami-hvm-2.0.20260105.0-x86_64-gp2', description: 'Amazon Linux 2 AMI x86_64 HVM gp2', architecture: 'x86_64', createdAt: '2026-01-04T00:00:00.000Z'
  },
  {
    ...canonical, id: 'ami-0abcdef1234567893', name: 'ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260101', description: 'Canonical, Ubuntu, 22.04 LTS, amd64', architecture: 'x86_64', createdAt: '2026-01-01T00:00:00.000Z'
  },
  {
    ...canonical, id: 'ami-0abcdef1234567894', name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101', description: 'Canonical, Ubuntu, 24.04 LTS, amd64', architecture: 'x86_64', createdAt: '2026-01-02T00:00:00.000Z'
  }
]

/** DescribeImages: a few images to search among; one that is asked for by its id exists whatever the id. */
export function createDescribeImages (gate: Ec2Gate): Operation {
  return (call) => {
    gate.authorize(call)
    const { params } = call
    const ids = readTexts(params, 'ImageId')
    for (const id of ids) requireImageId(id)
    const owners = readTexts(params, 'Owner')
    const filters = readFilters(params)
    const found = (ids.length === 0 ? catalogue : ids.map(imageOf))
      .filter((image) => ids.length > 0 || owners.length === 0 || owners.some((owner) => isOwner(owner, image)))
      .filter((image) => passesFilters(filters, facetsOf(image), new Map()))
    const { items, nextToken } = pageOf(params, found)
    return { result: { imagesSet: items.map(imageTree), nextToken } }
  }
}

/** @throws AwsError InvalidAMIID.Malformed. */
export function requireImageId (id: string): void {
  if (!imageIdPattern.test(id)) throw new AwsError(400, 'InvalidAMIID.Malformed', `Invalid id: "${id.slice(0, 64)}"`)
}

function imageOf (id: string): Image {
  return catalogue.find((image) => image.id === id) ?? {
    ...amazon, id, name: `emulated-${id}`, description: '', architecture: 'x86_64', createdAt: '2026-01-01T00:00:00.000Z'
  }
}

function isOwner (owner: string, { ownerId, ownerAlias }: Image): boolean {
  return owner === ownerId || owner === ownerAlias
}

function facetsOf ({ id, name, description, ownerId, ownerAlias, architecture, createdAt }: Image): Facets {
  return {
    'image-id': [id],
    name: [name],
    description: [description],
    'owner-id': [ownerId],
    'owner-alias': [ownerAlias],
    architecture: [architecture],
    state: ['available'],
    'creation-date': [createdAt],
    'image-type': ['machine'],
    'is-public': ['true'],
    hypervisor: ['xen'],
    platform: [],
    'platform-details': ['Linux/UNIX'],
    'virtualization-type': ['hvm'],
    'ena-support': ['true'],
    'root-device-name': [rootDeviceName],
    'root-device-type': ['ebs'],
    'block-device-mapping.volume-type': ['gp3']
  }
}

function imageTree (image: Image): Tree {
  const { id, name, ownerId, ownerAlias } = image
  return {
    imageId: id,
    imageLocation: `${ownerAlias ?? ownerId}/${name}`,
    imageState: 'available',
    imageOwnerId: ownerId,
    imageOwnerAlias: ownerAlias ?? undefined,
    isPublic: true,
    architecture: image.architecture,
    imageType: 'machine',
    name,
    description: image.description,
    platformDetails: 'Linux/UNIX',
    usageOperation: 'RunInstances',
    rootDeviceType: 'ebs',
    rootDeviceName,
    blockDeviceMapping: [{
      deviceName: rootDeviceName,
      ebs: { snapshotId: id.replace('ami-', 'snap-'), volumeSize: rootVolumeGib, volumeType: 'gp3', deleteOnTermination: true, encrypted: false }
    }],
    virtualizationType: 'hvm',
    hypervisor: 'xen',
    enaSupport: true,
    creationDate: image.createdAt,
    tagSet: []
  }
}
