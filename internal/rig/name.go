package rig

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// callName is the name of a call, such as ec2:RunInstances, from the request that carries it; and its body, unread.
func callName(request *http.Request) (string, io.ReadCloser, error) {
	service := signingName(request.Header.Get("Authorization"))
	if target := request.Header.Get("X-Amz-Target"); target != "" {
		return service + ":" + target[strings.LastIndexByte(target, '.')+1:], request.Body, nil
	}
	if service == "s3" || request.Body == nil {
		return service + ":" + request.Method, request.Body, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return "", nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", nil, err
	}
	return service + ":" + form.Get("Action"), io.NopCloser(bytes.NewReader(body)), nil
}

// signingName is the service in a signature's credential scope: KEY/DATE/REGION/SERVICE/aws4_request.
func signingName(authorization string) string {
	_, scope, _ := strings.Cut(authorization, "Credential=")
	parts := strings.Split(scope, "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[3]
}
