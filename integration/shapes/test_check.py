"""The check of shapes can fail: each kind of wrong answer is found.  python -m unittest discover integration/shapes"""

import base64
import datetime
import struct
import unittest

import botocore.loaders
import botocore.model

import check

LOADER = botocore.loaders.Loader()


def services(name):
    return botocore.model.ServiceModel(LOADER.load_service_model(name, "service-2"), name)


def wrong(service, action, body, status=200):
    recording = {
        "service": service, "action": action, "query": service == "ec2", "status": status,
        "header": {"Content-Type": ["text/xml" if service == "ec2" else "application/x-amz-json-1.0"]},
        "body": base64.b64encode(body.encode()).decode(),
    }
    return " ".join(check.check(recording, services))


def alarms(body, status=200):
    """An answer of CloudWatch, by RPC v2 CBOR."""
    recording = {
        "service": "monitoring", "action": "DescribeAlarms", "query": False, "status": status,
        "header": {"Content-Type": ["application/cbor"], "Smithy-Protocol": ["rpc-v2-cbor"]},
        "body": base64.b64encode(cbor(body)).decode(),
    }
    return " ".join(check.check(recording, services))


def cbor(value):
    """Encodes what the tests need: short maps, lists, texts and numbers, and timestamps."""
    if isinstance(value, dict):
        return bytes([0xA0 | len(value)]) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())
    if isinstance(value, list):
        return bytes([0x80 | len(value)]) + b"".join(map(cbor, value))
    if isinstance(value, datetime.datetime):
        return b"\xc1\xfb" + struct.pack(">d", value.timestamp())
    if isinstance(value, int):
        return bytes([value])
    return bytes([0x78, len(value)]) + value.encode()


def volumes(inner):
    return f"<DescribeVolumesResponse><requestId>r</requestId><volumeSet><item>{inner}</item></volumeSet></DescribeVolumesResponse>"


class Check(unittest.TestCase):
    def test_right_answers_pass(self):
        self.assertEqual("", wrong("ec2", "DescribeVolumes", volumes("<volumeId>v</volumeId><status>in-use</status><size>8</size><createTime>2026-01-02T03:04:05.000Z</createTime>")))
        self.assertEqual("", wrong("sqs", "DeleteMessageBatch", '{"Successful":[{"Id":"a"}],"Failed":[]}'))
        self.assertEqual("", wrong("sqs", "DeleteMessage", '{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"x"}', 400))

    def test_cbor_is_held_to_the_model(self):
        at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
        self.assertEqual("", alarms({"MetricAlarms": [{"AlarmName": "a", "StateValue": "OK", "Period": 20, "StateUpdatedTimestamp": at}]}))
        self.assertEqual("", alarms({"__type": "com.amazonaws.monitoring#ResourceNotFound", "message": "x"}, 404))
        for alarm, text in {
            "AlarmNames": "unknown member AlarmNames", "StateValue": "is none of", "Period": "is no integer|botocore cannot parse it",
            "StateUpdatedTimestamp": "is no timestamp",
        }.items():
            with self.subTest(alarm):
                self.assertRegex(alarms({"MetricAlarms": [{alarm: "Busy"}]}), text)
        self.assertRegex(alarms({"message": "x"}, 404), "no __type")

    def test_wrong_answers_are_found(self):
        for inner, text in {
            "<volumeID>v</volumeID>": "unknown element volumeID",
            "<status>busy</status>": "'busy' is none of",
            "<size>eight</size>": "is no integer|botocore cannot parse it",
            "<encrypted>yes</encrypted>": "is no boolean",
            "<createTime>2026-01-02 03:04</createTime>": "botocore cannot parse it|is no timestamp",
            "<size>8</size><size>8</size>": "comes twice|botocore cannot parse it",
            "<attachmentSet><member/></attachmentSet>": "expected item",
        }.items():
            with self.subTest(inner):
                self.assertRegex(wrong("ec2", "DescribeVolumes", volumes(inner)), text)
        for body, text in {
            '{"Successful":[]}': "required member Failed is missing",
            '{"Successful":[{"Id":5}],"Failed":[]}': "5 is no string",
            '{"Successful":null,"Failed":[]}': "None is no list",
            '{"Successful":[],"Failed":[],"More":1}': "unknown member More",
        }.items():
            with self.subTest(body):
                self.assertRegex(wrong("sqs", "DeleteMessageBatch", body), text)
        self.assertRegex(wrong("sqs", "DeleteMessage", '{"message":"x"}', 400), "no __type")


if __name__ == "__main__":
    unittest.main()
